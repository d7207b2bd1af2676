"""How much disk a new index takes, before it takes it."""

from __future__ import annotations

import shutil
from contextlib import suppress

import psycopg2
from psycopg2.extensions import connection

from ..errors import CommandError
from .catalog import rows
from .statements import Statement

# A B-tree's entry: 8 bytes of header and 4 of line pointer; pages are filled to 90 % (nbtree.h).
_ENTRY, _FILL = 12, 0.9
_UNKNOWN = 32  # bytes of a key of which there are no statistics
_READ = """
    SELECT c.reltuples::float AS rows, s.attname AS column, s.avg_width AS width
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_stats s
        ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = ANY(%s)
    WHERE n.nspname = %s AND c.relname = %s
"""


def estimate(conn: connection, statement: Statement) -> int | None:
    """Return about how many bytes a B-tree will have; None when the table was never counted."""
    found = rows(conn, _READ, (list(statement.columns), statement.schema, statement.table))
    if not found or found[0].rows < 0:
        return None
    widths = {row.column: row.width for row in found if row.column}
    keys = sum(widths.get(column, _UNKNOWN) for column in statement.columns) or _UNKNOWN
    return round(float(found[0].rows) * (-(-keys // 8) * 8 + _ENTRY) / _FILL)


def refuse_full(conn: connection, statement: Statement, size: int) -> None:
    """See that the server's disk has twice the room, where this machine is the server's.

    Raises:
        CommandError: it has not.
    """
    with suppress(psycopg2.Error, OSError):  # no right to know the folder, or it is on another machine
        (row,) = rows(conn, "SELECT current_setting('data_directory') AS folder, pg_catalog.inet_server_addr() "
                            "IS NULL "
                            "OR pg_catalog.inet_server_addr() <<= '127.0.0.0/8' AS is_local")  # fmt: skip
        free = shutil.disk_usage(row.folder).free if row.is_local else None
        if free is not None and free < 2 * size:
            raise CommandError(f"{statement.full} will take about {shown(size)}, and {shown(free)} are free on "
                               "the server's disk; make room for twice as much")  # fmt: skip


def shown(size: float) -> str:
    """Return bytes for people: "11 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
