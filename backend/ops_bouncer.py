"""PgBouncer's own tables for the ops page: who looks asks, every few seconds at most.

Must not import Flask or the pool. If this is wrong, the page waits a second for PgBouncer.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg2

from . import pgbouncer_stats

KEEP_ANSWER = 2.0  # seconds; a failure is kept as long
MOST_ROWS = 200
TABLES = ("pools", "stats", "databases")
HIDDEN = frozenset({"force_user", "password"})  # columns that help nobody here
Row = dict[str, Any]


class Bouncer:
    """Asks one PgBouncer's console.

    Args:
        dsn: of its database `pgbouncer`, as a user of `stats_users`.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._lock = threading.Lock()  # held while one thread asks; the console has a patience of its own
        self._answer: tuple[float, Row] = (float("-inf"), {})

    def __call__(self) -> Row:
        """Return the rows of SHOW POOLS, SHOW STATS and SHOW DATABASES by name, or an `error`."""
        with self._lock:
            when, answer = self._answer
            if time.monotonic() - when > KEEP_ANSWER:
                answer = self._ask()
                self._answer = time.monotonic(), answer
            return answer

    def _ask(self) -> Row:
        try:
            answers = pgbouncer_stats.ask(self._dsn, [f"SHOW {table.upper()}" for table in TABLES])
        except (psycopg2.Error, OSError) as error:
            lines = str(error).strip().splitlines()
            return {"error": f"PgBouncer does not answer: {lines[0] if lines else type(error).__name__}"}
        return {name: [_row(row) for row in rows[:MOST_ROWS]] for name, rows in zip(TABLES, answers, strict=True)}


def _row(row: Row) -> Row:
    plain = (str, int, float, type(None))
    return {
        name: value if isinstance(value, plain) else str(value)
        for name, value in row.items()
        if name not in HIDDEN
    }
