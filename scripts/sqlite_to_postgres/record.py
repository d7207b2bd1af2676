"""What an import made, as the target itself remembers it: for --resume, --verify-only and --rollback.

One row per table in `harden_sqlite_import`. If this is wrong, a rollback drops what is not its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor

from .checksum import Sum
from .names import quoted
from .plan import NewTable

NAME = "harden_sqlite_import"


class Entry(NamedTuple):
    """A table that was copied; `columns` are names and kinds."""

    name: str
    source: str
    identity: str
    columns: list[tuple[str, str]]
    sum: Sum
    complete: bool


def exists(cursor: Cursor, schema: str) -> bool:
    """Return whether an import is remembered in the schema."""
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{quoted(schema)}.{NAME}",))
    row = cursor.fetchone()
    return bool(row and row[0])


def create(cursor: Cursor, schema: str) -> None:
    """Make the table, if it is not there."""
    cursor.execute(
        f"CREATE TABLE IF NOT EXISTS {quoted(schema)}.{NAME} (name text PRIMARY KEY, source text NOT NULL, "
        "identity text NOT NULL, columns json NOT NULL, rows bigint NOT NULL, checksum text NOT NULL, "
        "complete boolean NOT NULL DEFAULT false)"
    )


def add(cursor: Cursor, schema: str, table: NewTable, identity: str, found: Sum) -> None:
    """Remember a table."""
    columns = json.dumps(table.kinds())
    cursor.execute(
        f"INSERT INTO {quoted(schema)}.{NAME} (name, source, identity, columns, rows, checksum) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        (table.name, table.source.name, identity, columns, found.rows, found.checksum),
    )


def complete(cursor: Cursor, schema: str) -> None:
    """Remember that all is done and verified."""
    cursor.execute(f"UPDATE {quoted(schema)}.{NAME} SET complete = true")


def entries(cursor: Cursor, schema: str) -> list[Entry]:
    """Return what is remembered, in the order of names."""
    cursor.execute(
        f"SELECT name, source, identity, columns::text, rows, checksum, complete FROM {quoted(schema)}.{NAME} "
        "ORDER BY name"
    )
    return [_entry(row) for row in cursor.fetchall()]


def _entry(row: Sequence[object]) -> Entry:
    name, source, identity, columns, rows, checksum, is_complete = row
    pairs = [(str(one), str(two)) for one, two in json.loads(str(columns))]
    return Entry(
        str(name), str(source), str(identity), pairs, Sum(int(str(rows)), str(checksum)), bool(is_complete)
    )
