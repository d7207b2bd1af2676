"""Rows for tables that stay empty: deterministic values that the schema's own constraints accept.

Ours rather than a library's: those make pretty names, and know nothing of a database's foreign keys, CHECKs and
domains, which is the whole work here. A row that the server still refuses is tried with other values; a table that
takes none stays empty and is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg2
from psycopg2 import sql

TABLES = """
    SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT EXISTS (
        SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 2, 3"""
COLUMNS = """
    SELECT a.attname::text, coalesce(nullif(t.typbasetype, 0)::regtype::text, t.oid::regtype::text), a.atttypmod,
           a.attnotnull, a.atthasdef OR a.attidentity <> '', coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
           ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
           ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
                 WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND a.attnum = ANY (k.conkey)),
           (SELECT ARRAY[k.confrelid::text, f.attname::text] FROM pg_constraint k JOIN pg_attribute f
              ON f.attrelid = k.confrelid AND f.attnum = k.confkey[array_position(k.conkey, a.attnum)]
            WHERE k.conrelid = a.attrelid AND k.contype = 'f' AND a.attnum = ANY (k.conkey) LIMIT 1),
           a.attidentity <> '' OR a.attgenerated <> ''
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
START = datetime(2020, 1, 1, 9, 0)
LITERAL = re.compile(r"'((?:[^']|'')*)'")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision", "money")
TRIES = 7  # other values for a row that a CHECK refuses


@dataclass(frozen=True)
class Column:
    """A column, as the catalogue has it; `refers` is the table's oid and the column of a foreign key."""

    name: str
    type: str
    modifier: int
    is_required: bool
    has_default: bool
    default: str
    labels: list[str]
    checks: list[str]
    refers: list[str] | None
    is_generated: bool

    @property
    def fills_itself(self) -> bool:
        """Whether the server gives each row its own value."""
        return self.is_generated or "nextval(" in self.default


def fill(conn: Any, count: int) -> list[str]:
    """Give every empty table rows, those referred to first; returns notes about tables that stay empty."""
    with conn.cursor() as cursor:
        cursor.execute(TABLES)
        tables = {str(oid): (schema, name) for oid, schema, name in cursor.fetchall()}
        columns = {oid: _columns(cursor, oid) for oid in tables}
        empty = [oid for oid in _in_order(columns) if not _has_rows(cursor, tables[oid])]
        notes = []
        for oid in empty:
            made, refused = _fill_table(cursor, tables, oid, columns[oid], count)
            if not made:
                notes.append(f"table {tables[oid][1]} stays empty: {refused}")
    return notes


def _columns(cursor: Any, oid: str) -> list[Column]:
    cursor.execute(COLUMNS, (oid,))
    return [Column(*row) for row in cursor.fetchall()]


def _in_order(columns: dict[str, list[Column]]) -> list[str]:
    waiting, done = list(columns), list[str]()
    while waiting:
        ready = [
            oid for oid in waiting
            if all(each.refers is None or each.refers[0] in (*done, oid) for each in columns[oid])
        ] or waiting[:1]  # a circle: some column of it takes NULL, or the table stays empty
        done += ready
        waiting = [oid for oid in waiting if oid not in ready]
    return done


def _has_rows(cursor: Any, table: tuple[str, str]) -> bool:
    cursor.execute(sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(*table)))
    return bool(cursor.fetchone()[0])


def _fill_table(
    cursor: Any, tables: dict[str, tuple[str, str]], oid: str, columns: list[Column], count: int
) -> tuple[int, str]:
    written = [each for each in columns if not each.fills_itself]
    known = {each.name: _referred(cursor, tables, each, count) for each in written if each.refers is not None}
    made, refused = 0, ""
    for number in range(1, count + 1):
        for attempt in range(TRIES):
            values = [_value(each, number, attempt, known.get(each.name)) for each in written]
            try:
                cursor.execute(_insert(tables[oid], written), values)
                made += 1
                break
            except psycopg2.Error as error:
                refused = str(error).strip().splitlines()[0]
    return made, refused


def _insert(table: tuple[str, str], columns: list[Column]) -> sql.Composed:
    if not columns:
        return sql.SQL("INSERT INTO {} DEFAULT VALUES").format(sql.Identifier(*table))
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(*table),
        sql.SQL(", ").join(sql.Identifier(each.name) for each in columns),
        sql.SQL(", ").join(sql.SQL("%s::{}").format(sql.SQL(each.type)) for each in columns),
    )


def _referred(cursor: Any, tables: dict[str, tuple[str, str]], column: Column, count: int) -> list[Any]:
    assert column.refers is not None
    oid, name = column.refers
    if oid not in tables:
        return []
    statement = sql.SQL("SELECT {0} FROM {1} ORDER BY {0} LIMIT %s")
    cursor.execute(statement.format(sql.Identifier(name), sql.Identifier(*tables[oid])), (count,))
    return [row[0] for row in cursor.fetchall()]


def _value(column: Column, number: int, attempt: int, referred: list[Any] | None) -> Any:
    if referred is not None:
        # Coprime steps, so that a table of two foreign keys has each pair once.
        return referred[(number - 1 + attempt * number) % len(referred)] if referred else None
    if column.labels:
        return column.labels[(number + attempt) % len(column.labels)]
    literals = [text.replace("''", "'") for check in column.checks for text in LITERAL.findall(check)]
    if literals and attempt % 2 == 0:
        return literals[(number + attempt) % len(literals)]
    if column.checks and attempt and column.type in NUMBERS:
        return _near_a_bound(column.checks, number, attempt)
    return _of_type(column, number)


def _near_a_bound(checks: list[str], number: int, attempt: int) -> Any:
    """Return a number above, below or at one that a CHECK names."""
    bounds = [float(text) for check in checks for text in NUMBER.findall(check)] or [0.0]
    found = [value for bound in bounds for value in (bound + number, bound - number, bound)]
    return f"{found[(attempt - 1) % len(found)]:g}"


def _of_type(column: Column, number: int) -> Any:
    kind = column.type
    if kind.endswith("[]"):
        return "{}"
    if kind in NUMBERS:
        return str(number)
    if kind == "boolean":
        return number % 2 == 1
    if kind.startswith("timestamp"):
        return START + timedelta(hours=number)
    simple: dict[str, Any] = {
        "date": date(2020, 1, 1) + timedelta(days=number), "interval": f"{number} minutes",
        "time without time zone": f"{number % 24:02}:00", "time with time zone": f"{number % 24:02}:00+00",
        "uuid": f"00000000-0000-4000-8000-{number:012}",
        "json": f'{{"n": {number}}}', "jsonb": f'{{"n": {number}}}',
        "bytea": f"\\x{number:02x}", "inet": f"10.0.0.{number % 256}", "cidr": f"10.0.{number % 256}.0/24",
    }  # fmt: skip
    if kind in simple:
        return simple[kind]
    text = f"{column.name}{number}@example.com" if "mail" in column.name else f"{column.name} {number}"
    room = column.modifier - 4 if column.modifier > 4 else len(text)
    return text if len(text) <= room else str(number)[-room:].rjust(min(room, 3), "x")
