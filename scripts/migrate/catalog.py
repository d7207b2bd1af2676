"""What stands in the database now: an index of a name, whether it is valid, and whether it is the wanted one."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg2
from pglast import ast, parse_sql
from psycopg2.extensions import connection
from psycopg2.extras import NamedTupleCursor

from ..doctor.names import qualified
from .statements import Statement

_INDEX = """
    SELECT c.oid, c.relkind, t.relkind AS table_kind, n.nspname AS schema, t.relname AS table,
           i.indisvalid AND i.indisready AS is_valid, pg_catalog.pg_get_indexdef(c.oid) AS definition,
           pg_catalog.pg_relation_size(c.oid) AS size, COALESCE(s.idx_scan, 0) AS scans
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
    LEFT JOIN pg_catalog.pg_stat_all_indexes s ON s.indexrelid = c.oid
    WHERE n.nspname = %s AND c.relname = %s
"""
_BUILDING = """
    SELECT pid FROM pg_catalog.pg_stat_progress_create_index WHERE index_relid = %s AND pid <> pg_backend_pid()
"""
_INVALID_BESIDE = """
    SELECT c.relname AS name
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = (SELECT x.indrelid FROM pg_catalog.pg_index x WHERE x.indexrelid = %s)
      AND NOT i.indisvalid AND c.relkind = 'i'
    ORDER BY c.relname
"""
_VALIDATED = """
    SELECT k.convalidated FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND k.conname = %s
"""


@dataclass(frozen=True)
class Standing:
    """What has an index's name.

    Attributes:
        is_index: False for a table or a view of that name.
        is_partitioned: Whether it is the index of a partitioned table, made of its partitions' indexes.
        size: Bytes.
        scans: Since the server's counters began.
    """

    oid: int
    is_index: bool
    is_partitioned: bool
    is_valid: bool
    table: str
    definition: str
    size: int
    scans: int


def rows(conn: connection, query: str, values: Any = None) -> list[Any]:
    """Ask, and return the rows as named tuples."""
    cursor: Any
    with conn.cursor(cursor_factory=NamedTupleCursor) as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def standing(conn: connection, schema: str, name: str) -> Standing | None:
    """Return what has an index's name; None for nothing."""
    for row in rows(conn, _INDEX, (schema, name)):
        return Standing(row.oid, row.relkind in "iI", row.relkind == "I", bool(row.is_valid), row.table or "",
                        row.definition or "", row.size or 0, row.scans)  # fmt: skip
    return None


def builder(conn: connection, index: int) -> int | None:
    """Return the pid of a session that builds an index right now."""
    return next((row.pid for row in rows(conn, _BUILDING, (index,))), None)


def rebuild_leftovers(conn: connection, schema: str, name: str) -> list[str]:
    """Return what a REINDEX CONCURRENTLY that failed has left: invalid indexes `name_ccnew`, `name_ccold`.

    The server cuts a long name before it adds its ending.
    """
    there = standing(conn, schema, name)
    found = [row.name for row in rows(conn, _INVALID_BESIDE, (there.oid,))] if there else []
    ends = [(each, re.fullmatch(r"(.+)_cc(?:new|old)\d*", each)) for each in found]
    return [qualified(schema, each) for each, match in ends if match and name.startswith(match[1])]


def is_validated(conn: connection, statement: Statement) -> bool | None:
    """Whether a constraint is validated; None when there is none of that name."""
    values = (statement.schema, statement.table, statement.name)
    return next((bool(row.convalidated) for row in rows(conn, _VALIDATED, values)), None)


def is_wanted(conn: connection, there: Standing, statement: Statement) -> bool:
    """Whether an index is the one that a statement makes.

    The server writes both definitions: the statement is run on an empty copy of the table, in a transaction that
    is rolled back, for only the server knows which casts and defaults it fills in.
    """
    if not there.is_index or there.table != statement.table:
        return False
    try:
        wanted = _as_written_by_server(conn, statement)
    except psycopg2.Error:  # no right to make temporary tables, or an expression that needs the table itself
        return True
    return _shape(wanted) == _shape(there.definition)


def _as_written_by_server(conn: connection, statement: Statement) -> str:
    (raw,) = parse_sql(statement.text)
    node = raw.stmt
    assert isinstance(node, ast.IndexStmt)
    on = re.search(r"\sON\s+(?:\"(?:[^\"]|\"\")*\"|\w+)\.(?:\"(?:[^\"]|\"\")*\"|\w+)", statement.text)
    if on is None:
        return ""
    unique = "UNIQUE " if node.unique else ""
    try:
        with conn.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            table = re.sub(r"^\sON\s+", "", on[0])
            cursor.execute(f"CREATE TEMPORARY TABLE harden_shape (LIKE {table}) ON COMMIT DROP")
            rest = statement.text[on.end() :]
            cursor.execute(f"CREATE {unique}INDEX harden_shape_idx ON pg_temp.harden_shape{rest}")
            cursor.execute("SELECT pg_catalog.pg_get_indexdef('pg_temp.harden_shape_idx'::pg_catalog.regclass)")
            return str(cursor.fetchone()[0])  # type: ignore[index]
    finally:
        with suppress(psycopg2.Error), conn.cursor() as cursor:
            cursor.execute("ROLLBACK")


def _shape(definition: str) -> str:
    """Return a definition without the names of index and table."""
    unique, _, rest = definition.partition(" USING ")
    return f"{'UNIQUE ' if unique.startswith('CREATE UNIQUE') else ''}{rest}"
