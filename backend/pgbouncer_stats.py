"""What PgBouncer's console says of its pools and its traffic, as series for `/metrics`.

Asked through HARDEN_PGBOUNCER_DSN, at most every 5 seconds, by one thread at a time: whoever comes meanwhile gets
the last answer. Connecting and asking together may take one second, whatever the network does, so the
connection is an asynchronous one. It is none of the pool's: `psycopg2.connect` may have been replaced.
If this is wrong, a scrape waits, or the figures are old.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg2
from psycopg2 import extensions

from .board import Series

log = logging.getLogger(__name__)
PATIENCE, KEEP, MOST_POOLS = 1.0, 5.0, 200
CLIENTS = {"cl_active": "active", "cl_waiting": "waiting"}
SERVERS = {"sv_active": "active", "sv_idle": "idle", "sv_used": "used", "sv_tested": "tested", "sv_login": "login"}
# Times are in microseconds there.
STATS = {
    "total_xact_count": ("harden_pgbouncer_transactions", 1.0),
    "total_query_count": ("harden_pgbouncer_queries", 1.0),
    "total_received": ("harden_pgbouncer_received_bytes", 1.0),
    "total_sent": ("harden_pgbouncer_sent_bytes", 1.0),
    "total_xact_time": ("harden_pgbouncer_transaction_seconds", 1e-6),
    "total_query_time": ("harden_pgbouncer_query_seconds", 1e-6),
    "total_wait_time": ("harden_pgbouncer_wait_seconds", 1e-6),
}  # fmt: skip
Row = dict[str, Any]


class Console:
    """PgBouncer's console.

    Args:
        dsn: of the database `pgbouncer`, as a user of its `stats_users`.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._asking = threading.Lock()  # held while one thread asks
        self._asked = float("-inf")
        self._answer: list[Series] = []
        self._is_down = False

    def after_fork(self) -> None:
        """In a forked child: the lock may have been held."""
        self._start_afresh()

    def series(self) -> list[Series]:
        """Return what it says, up to 5 seconds old; only that it is not up when it does not answer."""
        if time.monotonic() - self._asked > KEEP and self._asking.acquire(blocking=False):
            try:
                self._answer = self._ask()
                self._asked = time.monotonic()
            finally:
                self._asking.release()
        return self._answer

    def _ask(self) -> list[Series]:
        try:
            pools, stats = ask(self._dsn, ("SHOW POOLS", "SHOW STATS"))
            answer = [Series("harden_pgbouncer_up", (), (1.0,)), *_of_pools(pools), *_of_stats(stats)]
        except Exception as error:  # also what is no PgBouncer, and answers something else
            if not self._is_down:
                log.warning("PgBouncer's console does not answer; see HARDEN_PGBOUNCER_DSN: %s", _one_line(error))
            self._is_down = True
            return [Series("harden_pgbouncer_up", (), (0.0,))]
        self._is_down = False
        return answer


def ask(dsn: str, statements: Sequence[str], patience: float = PATIENCE) -> list[list[Row]]:
    """Return the rows of each statement, by column.

    Args:
        dsn: where to.
        statements: what to ask.
        patience: seconds for all of it.

    Raises:
        psycopg2.Error: it could not be asked.
        TimeoutError: it took longer.
    """
    deadline = time.monotonic() + patience
    conn = extensions.connection(dsn, async_=1)
    try:
        _wait(conn, deadline)
        answers = []
        for statement in statements:
            with conn.cursor() as cursor:
                cursor.execute(statement)
                _wait(conn, deadline)
                names = [column.name for column in cursor.description or ()]
                answers.append([dict(zip(names, row, strict=True)) for row in cursor.fetchmany(MOST_POOLS)])
        return answers
    finally:
        conn.close()


def _wait(conn: Any, deadline: float) -> None:
    while (state := conn.poll()) != extensions.POLL_OK:
        left = deadline - time.monotonic()
        if left <= 0.0:
            raise TimeoutError(f"no answer within {PATIENCE:.0f} s")
        waiting = select.poll()  # not select.select(): that knows no file descriptor above 1023
        waiting.register(conn, select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        waiting.poll(left * 1000.0)


def _of_pools(rows: list[Row]) -> Iterator[Series]:
    for row in rows:
        who = str(row["database"]), str(row["user"])
        for column, state in CLIENTS.items():
            yield Series("harden_pgbouncer_clients", (*who, state), (float(row[column]),))
        for column, state in SERVERS.items():
            yield Series("harden_pgbouncer_servers", (*who, state), (float(row[column]),))
        seconds = float(row["maxwait"]) + float(row.get("maxwait_us", 0)) * 1e-6
        yield Series("harden_pgbouncer_max_wait_seconds", who, (seconds,))


def _of_stats(rows: list[Row]) -> Iterator[Series]:
    for row in rows:
        for column, (metric, unit) in STATS.items():
            yield Series(metric, (str(row["database"]),), (float(row[column]) * unit,))


def _one_line(error: Exception) -> str:
    if isinstance(error, psycopg2.Error):
        return " ".join(str(error).split())
    return f"{type(error).__name__}: {error}"
