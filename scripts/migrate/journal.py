"""What was run on a database, kept in that database: one row for each migration, and one runner at a time.

The catalog says what stands; only this says who made it. Without it, `undo` would drop an index that was there
long before.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg2
from psycopg2 import errorcodes, sql
from psycopg2.extensions import connection

from ..database import first_line
from ..errors import CommandError
from .catalog import rows

SCHEMA, TABLE = "public", "harden_migrations"
LOCK = 0x68617264656E6D67  # "hardenmg"; pg_try_advisory_lock's key, one for each database
_MADE = """
    CREATE TABLE IF NOT EXISTS {} (
        name text PRIMARY KEY,
        digest text NOT NULL,
        state text NOT NULL CHECK (state IN ('started', 'done', 'undone')),
        made boolean NOT NULL,
        started timestamptz NOT NULL DEFAULT now(),
        finished timestamptz
    )
"""
_HOLDER = """
    SELECT pid FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND (classid::bigint << 32) | objid::bigint = %s
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True)
class Entry:
    """A migration's row.

    Attributes:
        state: "started", "done" or "undone".
        made: Whether we made the change; False when it stood there before.
    """

    name: str
    digest: str
    state: str
    made: bool


class Journal:
    """The table.

    Args:
        conn: a session in autocommit.
        schema: where it is.
    """

    def __init__(self, conn: connection, schema: str = SCHEMA) -> None:
        self._conn = conn
        self._schema = schema
        self._table = sql.Identifier(schema, TABLE)

    def make(self) -> None:
        """Make the table where there is none.

        Raises:
            CommandError: this role may not.
        """
        if self._is_there():
            return
        try:
            self._execute(sql.SQL(_MADE).format(self._table))
        except psycopg2.Error as error:
            if error.pgcode not in (errorcodes.INSUFFICIENT_PRIVILEGE, errorcodes.INVALID_SCHEMA_NAME):
                raise
            raise CommandError(f"nothing was done: no table {self._schema}.{TABLE} to remember what was run "
                               f"({first_line(error)}); name a schema by --journal") from None  # fmt: skip

    def _is_there(self) -> bool:
        query = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = %s"
        return bool(rows(self._conn, query, (self._schema, TABLE)))

    def entries(self) -> dict[str, Entry]:
        """Return what was run, by name; nothing when the table is not there yet."""
        if not self._is_there():
            return {}
        query = sql.SQL("SELECT name, digest, state, made FROM {} ORDER BY name").format(self._table)
        with self._conn.cursor() as cursor:
            cursor.execute(query)
            return {row[0]: Entry(*row) for row in cursor.fetchall()}

    def start(self, name: str, digest: str, is_new: bool) -> None:
        """Note that one begins; a run that was cut off keeps what it had noted of who made it."""
        self._execute(
            sql.SQL(
                "INSERT INTO {0} AS old (name, digest, state, made) VALUES (%s, %s, 'started', %s)"
                " ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, state = 'started', started = now(),"
                " finished = NULL, made = excluded.made OR (old.state = 'started' AND old.made)"
            ).format(self._table),
            (name, digest, is_new),
        )

    def finish(self, name: str, state: str) -> None:
        """Note the end: "done" or "undone"."""
        self._execute(
            sql.SQL("UPDATE {} SET state = %s, finished = now() WHERE name = %s").format(self._table),
            (state, name),
        )

    def _execute(self, query: sql.Composable, values: tuple[object, ...] | None = None) -> None:
        with self._conn.cursor() as cursor:
            cursor.execute(query, values)


def locked(conn: connection) -> int | None:
    """Take the lock of the only runner; return None for success, else the pid that has it (0: just gone).

    Never waited for in the server: a session that waits in a statement has a snapshot, which the other's CREATE
    INDEX CONCURRENTLY would wait for in turn.
    """
    if rows(conn, "SELECT pg_catalog.pg_try_advisory_lock(%s) AS got", (LOCK,))[0].got:
        return None
    return next((row.pid for row in rows(conn, _HOLDER, (LOCK,))), 0)
