"""One-time secrets in PostgreSQL: one UPDATE decides who wins, in a transaction of its own.

The request's own transaction is not used: rolled back, it would bring a used secret back to life. A used secret
stays as a row without its data until it is over, so that a replay can be told from a guess.
If this is wrong, two racing requests both win.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2 import sql

from .database_helper import get_pool
from .errors import OneTimeUnavailable
from .one_time import ELSEWHERE, EXPIRED, UNKNOWN, USED, WON, Taken

TABLE = "one_time_secrets"
TRIES = 10  # of one statement, where a stricter isolation level has it fail for another's sake
CREATE = """
    CREATE TABLE IF NOT EXISTS {table} (
        digest text PRIMARY KEY,
        purpose text NOT NULL,
        binding text NOT NULL,
        data text,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
    );
    CREATE INDEX IF NOT EXISTS {index} ON {table} (expires_at);
"""
PUT = """
    INSERT INTO {table} (digest, purpose, binding, data, expires_at)
    VALUES (%s, %s, %s, %s, clock_timestamp() + %s * interval '1 second')
"""
TAKE = """
    WITH kept AS MATERIALIZED (SELECT digest, data FROM {table} WHERE digest = %(digest)s FOR UPDATE)
    UPDATE {table} AS taken SET used_at = clock_timestamp(), data = NULL
    FROM kept
    WHERE taken.digest = kept.digest AND purpose = %(purpose)s AND binding = %(binding)s
      AND used_at IS NULL AND expires_at > clock_timestamp()
    RETURNING kept.data
"""
WHY = """
    SELECT CASE WHEN used_at IS NOT NULL THEN %(used)s
                WHEN expires_at <= clock_timestamp() THEN %(expired)s
                WHEN binding <> %(binding)s THEN %(elsewhere)s
                ELSE %(used)s END
    FROM {table} WHERE digest = %(digest)s AND purpose = %(purpose)s
"""
# A batch by primary key, of rows that nobody holds: it waits for no request, and none for it.
CLEAN = """
    DELETE FROM {table} WHERE digest IN (
        SELECT digest FROM {table} WHERE expires_at <= clock_timestamp()
        ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED)
"""


class PostgresSecrets:
    """Secrets in a table.

    Args:
        pool: whose connections are used, one for the length of a statement; the app's own when None.
        table: its name.
        schema: where it is; when None, where the search path leads.
    """

    def __init__(self, pool: Any = None, table: str = TABLE, schema: str | None = None) -> None:
        self._pool = pool
        names = (schema, table) if schema is not None else (table,)
        parts = {"table": sql.Identifier(*names), "index": sql.Identifier(f"{table}_expires_at")}
        self._statements = {
            name: sql.SQL(text).format(**parts)
            for name, text in (("create", CREATE), ("put", PUT), ("take", TAKE), ("why", WHY), ("clean", CLEAN))
        }

    def create_table(self) -> None:
        """Make the table and its index where they are not there; better done by a migration, by their owner."""
        self._run("create", {})

    def put(self, purpose: str, digest: str, binding: str, data: str, ttl: float) -> None:
        """Keep one; see SecretStore."""
        self._run("put", (digest, purpose, binding, data, ttl))

    def take(self, purpose: str, digest: str, binding: str) -> Taken:
        """Use one; see SecretStore."""
        asked = {"digest": digest, "purpose": purpose, "binding": binding}
        won = self._run("take", asked)
        if won:
            return Taken(WON, won[0][0])
        why = self._run("why", {**asked, "used": USED, "expired": EXPIRED, "elsewhere": ELSEWHERE})
        return Taken(why[0][0] if why else UNKNOWN)

    def clean_up(self, most: int) -> int:
        """Delete what is over; see SecretStore."""
        return len(self._run("clean", (most,), count=True))

    def _run(self, name: str, values: Any, *, count: bool = False) -> Any:
        """Execute one statement in a transaction of its own, and commit; return its rows.

        Raises:
            OneTimeUnavailable: the table is not there, or the server does not answer or cannot write.
        """
        for _ in range(TRIES):
            try:
                return self._run_once(name, values, count)
            except psycopg2.errors.SerializationFailure:
                # It did nothing. Under SERIALIZABLE it may have failed for another secret's sake, so it says
                # nothing about this one: asked again, a used secret is told from a good one.
                continue
            except psycopg2.errors.UndefinedTable as error:
                raise OneTimeUnavailable(
                    f"the table of one-time secrets is not there ({_first_line(error)}); "
                    "PostgresSecrets().create_table() makes it"
                ) from None
            except psycopg2.errors.ReadOnlySqlTransaction as error:  # a standby, or a primary that became one
                raise OneTimeUnavailable(
                    f"one-time secrets: PostgreSQL does not write: {_first_line(error)}; name the primary"
                ) from error
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                raise OneTimeUnavailable(
                    f"one-time secrets: PostgreSQL does not answer: {_first_line(error)}"
                ) from error
        raise OneTimeUnavailable(f"one-time secrets: PostgreSQL failed {TRIES} tries for other transactions")

    def _run_once(self, name: str, values: Any, count: bool) -> Any:
        pool = self._pool if self._pool is not None else get_pool()
        with pool.connection() as conn, conn.cursor(cursor_factory=psycopg2.extensions.cursor) as cursor:
            cursor.execute(self._statements[name], values)
            return range(cursor.rowcount) if count else cursor.fetchall() if cursor.description else []


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
