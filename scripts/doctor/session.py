"""One connection that only reads: each question is a transaction of its own, read-only, with its own timeouts.

Nothing is set on the session, so a transaction pooler's server connections stay as they were, and no transaction
stays open to hold vacuum back. What cannot be answered says why, once, in words for a person. If this is wrong,
looking at a sick database makes it worse.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg2
from psycopg2 import errorcodes, sql
from psycopg2.extensions import connection
from psycopg2.extras import NamedTupleCursor

from ..database import first_line

LOCK_TIMEOUT = 1.0  # seconds; a question that waits for somebody's ALTER TABLE is not worth it
_RIGHTS = (errorcodes.INSUFFICIENT_PRIVILEGE, errorcodes.READ_ONLY_SQL_TRANSACTION)
_MISSING = (errorcodes.UNDEFINED_TABLE, errorcodes.UNDEFINED_FUNCTION, errorcodes.UNDEFINED_COLUMN,
            errorcodes.OBJECT_NOT_IN_PREREQUISITE_STATE, errorcodes.FEATURE_NOT_SUPPORTED,
            errorcodes.INVALID_SCHEMA_NAME)  # fmt: skip


_BOUNDS = "SET LOCAL statement_timeout = %s; SET LOCAL lock_timeout = %s; SET LOCAL search_path = pg_catalog"
Question = tuple[str | sql.Composable, Any]


class NotSeen(Exception):
    """A question that has no answer here: no right to ask, a missing extension, too slow, a lock.

    Args:
        reason: one line with the next step, fit for "not checked: ...".
    """


class Lost(Exception):
    """The database went away; what was found so far stands."""


class Session:
    """Asks a database, a short read-only transaction at a time.

    Args:
        conn: a fresh connection; this owns it from now on.
        statement_timeout: of each question, in seconds.
        deadline: by `time.monotonic()`, when all questions have to be over.
    """

    def __init__(self, conn: connection, statement_timeout: float, deadline: float = float("inf")) -> None:
        conn.set_session(readonly=True)
        self._conn = conn
        self._timeout = statement_timeout
        self._deadline = deadline

    @property
    def connection(self) -> connection:
        """The connection itself, for quoting."""
        return self._conn

    def rows(self, query: str | sql.Composable, values: Any = None, timeout: float | None = None) -> list[Any]:
        """Return a question's rows as named tuples; psycopg2's `%s` stand for values.

        Args:
            query: one or more statements; the last one's rows count.
            timeout: of this question, in seconds, in place of the usual.

        Raises:
            NotSeen: it cannot be asked here, or took too long.
            Lost: the connection is gone.
        """
        return self.asked([(query, values)], timeout)

    def row(self, query: str | sql.Composable, values: Any = None) -> Any:
        """Return a question's only row; as `rows`."""
        (found,) = self.rows(query, values)
        return found

    def asked(self, questions: Sequence[Question], timeout: float | None = None) -> list[Any]:
        """Ask several statements in one transaction, rolled back at the end; return the last one's rows.

        Raises:
            NotSeen, Lost: as `rows`.
        """
        left = min(timeout or self._timeout, self._deadline - time.monotonic())
        if left <= 0:
            raise NotSeen("the time for all questions is over; raise --timeout")
        if self._conn.closed:
            raise Lost("the connection is closed")
        try:
            with self._cursor() as cursor:
                cursor.execute(_BOUNDS, (max(1, round(left * 1000)), round(LOCK_TIMEOUT * 1000)))
                for query, values in questions:
                    cursor.execute(query, values)
                return list(cursor.fetchall()) if cursor.description else []
        except psycopg2.Error as error:
            raise self._problem(error, left) from None
        finally:
            if not self._conn.closed:
                with suppress(psycopg2.Error):
                    self._conn.rollback()

    def _cursor(self) -> Any:
        return self._conn.cursor(cursor_factory=NamedTupleCursor)

    def _problem(self, error: psycopg2.Error, left: float) -> Exception:
        code, said = error.pgcode, first_line(error)
        if self._conn.closed or code in (errorcodes.ADMIN_SHUTDOWN, errorcodes.CRASH_SHUTDOWN):
            return Lost(said)
        if code == errorcodes.QUERY_CANCELED:
            return NotSeen(f"the question took longer than {left:.3g} s; raise --statement-timeout")
        if code == errorcodes.LOCK_NOT_AVAILABLE:
            return NotSeen(f"a lock was not free within {LOCK_TIMEOUT:g} s; try again when DDL is over")
        if code in _RIGHTS:
            return NotSeen(f"{said}; GRANT pg_monitor TO the role that asks")
        if code in _MISSING:
            return NotSeen(said)
        if code is None:
            return Lost(said)
        return NotSeen(f"{said} (SQLSTATE {code})")

    def close(self) -> None:
        """Hang up."""
        self._conn.close()
