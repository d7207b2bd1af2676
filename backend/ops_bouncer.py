"""PgBouncer's own tables for the ops page: who looks asks, every few seconds at most.

Must not import Flask or the pool. If this is wrong, the page waits a second for PgBouncer.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from . import pgbouncer_stats

KEEP_ANSWER = 2.0  # seconds; a failure is kept as long
MOST_ROWS = 200
# The columns that help somebody here, of those that the server's version has.
COLUMNS = {
    "pools": (
        "database", "user", "cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used", "sv_login", "maxwait",
        "pool_mode",
    ),
    "stats": (
        "database", "avg_xact_count", "avg_query_count", "avg_xact_time", "avg_query_time", "avg_wait_time",
        "avg_recv", "avg_sent", "total_xact_count", "total_query_count",
    ),
    "databases": (
        "name", "host", "port", "database", "pool_size", "max_connections", "current_connections",
        "paused",
    ),
}  # fmt: skip
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
            answers = pgbouncer_stats.ask(self._dsn, [f"SHOW {table.upper()}" for table in COLUMNS])
        except Exception as error:  # also what is no PgBouncer: the rest of the page stays
            lines = str(error).strip().splitlines()
            return {"error": f"PgBouncer does not answer: {lines[0] if lines else type(error).__name__}"}
        return {
            name: [_row(row, COLUMNS[name]) for row in rows[:MOST_ROWS]]
            for name, rows in zip(COLUMNS, answers, strict=True)
        }


def _row(row: Row, columns: tuple[str, ...]) -> Row:
    plain = (str, int, float, type(None))
    found = {name: row[name] for name in columns if name in row}
    return {name: value if isinstance(value, plain) else str(value) for name, value in found.items()}
