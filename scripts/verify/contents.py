"""What stands in a database: a checksum per table and column, and where the sequences are.

Rows are taken in the order of the primary key, else of their text, so that the order in which they were written
does not count. One query a table: meant for databases of thousands of rows, not of millions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import sql

MARK = "/* harden verify */ "
COLUMNS = MARK + """
    SELECT c.oid::regclass::text, n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attnum),
           coalesce((SELECT array_agg(k.attname::text ORDER BY k.attnum) FROM pg_index i
                     JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey)
                     WHERE i.indrelid = c.oid AND i.indisprimary), '{}')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname NOT LIKE 'pg_toast%' AND NOT EXISTS (
        SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    GROUP BY c.oid, n.nspname, c.relname ORDER BY 1"""
SEQUENCES = MARK + "SELECT schemaname || '.' || sequencename, coalesce(last_value, 0) FROM pg_sequences ORDER BY 1"


@dataclass(frozen=True)
class Contents:
    """What stands in a database.

    Attributes:
        rows: by table, how many.
        columns: by (table, column), a checksum.
        sequences: by name, the last value; 0 for one that was never asked.
    """

    rows: dict[str, int] = field(default_factory=dict)
    columns: dict[tuple[str, str], str] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)

    def without_sequences(self) -> Contents:
        """Return the tables alone."""
        return Contents(self.rows, self.columns)


def contents_of(conn: Any) -> Contents:
    """Read a database; where somebody keeps a table locked, that is what is known of it."""
    found = Contents()
    try:
        _read(conn, found)
    except psycopg2.errors.LockNotAvailable:
        return Contents(rows={"(locked by a transaction that was left open)": 0})
    return found


def _read(conn: Any, found: Contents) -> None:
    with conn.cursor() as cursor:
        cursor.execute(MARK + "SET lock_timeout = '3s'")
        cursor.execute(COLUMNS)
        for table, schema, name, columns, key in cursor.fetchall():
            cursor.execute(_checksums(schema, name, columns, key))
            row = cursor.fetchone()
            found.rows[table] = row[0]
            found.columns.update({(table, column): value for column, value in zip(columns, row[1:], strict=True)})
        cursor.execute(SEQUENCES)
        found.sequences.update(cursor.fetchall())


def _checksums(schema: str, table: str, columns: list[str], key: list[str]) -> sql.Composed:
    order = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(each)) for each in key) if key else sql.SQL(
        "t::text"
    )
    sums = [
        sql.SQL("md5(string_agg(coalesce(t.{}::text, '~'), '|' ORDER BY {}))").format(sql.Identifier(each), order)
        for each in columns
    ]
    return sql.SQL("{}SELECT count(*), {} FROM {} AS t").format(
        sql.SQL(MARK), sql.SQL(", ").join(sums), sql.Identifier(schema, table)
    )


def compared(before: Contents, after: Contents, varying: frozenset[str]) -> list[tuple[str, str, str]]:
    """Return what differs: what it is, how it is before, and after.

    Args:
        before, after: of the two sides.
        varying: `table.column`, tables and sequences that differ between two runs of the same side.
    """
    found = []
    for table in sorted({*before.rows, *after.rows}):
        rows = [side.rows.get(table) for side in (before, after)]
        if rows[0] != rows[1] and table not in varying:
            found.append((f"table {table}", _rows(rows[0]), _rows(rows[1])))
            continue
        columns = sorted({name for owner, name in (*before.columns, *after.columns) if owner == table})
        different = [
            name for name in columns
            if before.columns.get((table, name)) != after.columns.get((table, name))
            and f"{table}.{name}" not in varying
        ]  # fmt: skip
        if different and table not in varying:
            other = f"{_rows(rows[1])}, other values in {', '.join(different)}"
            found.append((f"table {table}", _rows(rows[0]), other))
    for name in sorted({*before.sequences, *after.sequences} - varying):
        values = (before.sequences.get(name), after.sequences.get(name))
        if values[0] != values[1]:
            found.append((f"sequence {name}", f"moved by {values[0]}", f"moved by {values[1]}"))
    return found


def varying_between(first: Contents, second: Contents) -> frozenset[str]:
    """Return what differs between two runs of one side, in the words that `compared` leaves out."""
    tables = {name for name in {*first.rows, *second.rows} if first.rows.get(name) != second.rows.get(name)}
    columns = {
        f"{table}.{name}" for table, name in {*first.columns, *second.columns}
        if first.columns.get((table, name)) != second.columns.get((table, name))
    }  # fmt: skip
    names = {*first.sequences, *second.sequences}
    sequences = {name for name in names if first.sequences.get(name) != second.sequences.get(name)}
    return frozenset(tables | columns | sequences)


def _rows(count: int | None) -> str:
    return "no such table" if count is None else "1 row" if count == 1 else f"{count} rows"
