"""The process in which all ways take turns; it measures its own processor time, the server's is not in it.

    python -m scripts.bench.monitor.worker queries

Reads jobs from stdin, one JSON object a line, and answers each by one line on stdout; ends with its input.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions

from backend import ThreadedConnectionPool, monitor, request_end
from backend.query_log import QueryLog

from ..queries.worker import Answer, drawn, serve
from .lines import ask
from .ways import BY_KEY, Logging, Switch, Way

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
IDLE_CALLS = 2000
WARM = 5  # requests


class Idle(psycopg2.extensions.cursor):
    """A cursor that sends nothing: what is left is the price of watching alone."""

    def execute(self, query: Any, vars: Any = None) -> None:
        """Do nothing."""


class Bench:
    """Everything that is measured in one process.

    Args:
        dsn: over a local socket, straight to the server.
    """

    def __init__(self, dsn: str) -> None:
        plain, logged = psycopg2.connect(dsn), psycopg2.connect(dsn, connection_factory=Logging)
        self._pool = ThreadedConnectionPool(1, 1, dsn)
        self._places: dict[str, Any] = {"plain": plain, "logging": logged, "lease": self._pool.getconn()}
        for conn in self._places.values():
            conn.autocommit = True
        self._switch = Switch(dsn)
        self.jobs: dict[str, Callable[..., Answer]] = {
            "queries": self._queries, "wrapper": self._wrapper, "memory": self._memory,
        }  # fmt: skip

    def _queries(self, keys: Sequence[str], sql: str, batch: int, queries: int, numbers: Sequence[int]) -> Answer:
        """Return the nanoseconds of a query by each way, a sample a round."""
        found: dict[str, list[float]] = {key: [] for key in keys}
        times = -(-queries // batch)
        gc.freeze()
        for number in numbers:
            for key in drawn(list(keys), number):
                way = BY_KEY[key]
                self._switch.turn(way.switch)
                self._sample(way, sql, batch, WARM)  # what changed with the switch is warm again
                found[key].append(self._sample(way, sql, batch, times) / (times * batch))
        self._switch.turn("off")
        return {"ns": found}

    def _sample(self, way: Way, sql: str, batch: int, times: int) -> int:
        conn, wrap, asks = self._places[way.place], way.wrap, way.ask
        gc.collect()
        start = time.thread_time_ns()
        for _ in range(times):
            watched = monitor.begin(QueryLog("request", "GET", "/bench", "bench")) if way.in_request else None
            cursor = conn.cursor()
            asks(cursor if wrap is None else wrap(cursor), sql, batch)
            cursor.close()
            if watched is not None:
                request_end.end(watched, 200)
        request_end.flush()
        return time.thread_time_ns() - start

    def _wrapper(self, numbers: Sequence[int]) -> Answer:
        """Return the nanoseconds that watching adds to a call that does nothing."""
        self._switch.turn("on")
        conn = self._places["lease"]
        idle = psycopg2.extensions.connection.cursor(conn, cursor_factory=monitor.monitored(Idle))
        plain = psycopg2.extensions.connection.cursor(conn, cursor_factory=Idle)
        found: dict[str, list[float]] = {"outside": [], "request": []}
        for _ in numbers:
            base = _calls(plain)
            found["outside"].append((_calls(idle) - base) / IDLE_CALLS)
            log = monitor.begin(QueryLog("request", "GET", "/bench", "bench"))
            noted = _calls(idle)
            monitor.end(log, 200)
            found["request"].append((noted - base) / IDLE_CALLS)
        self._switch.turn("off")
        return {"ns": found}

    def _memory(self, texts: int) -> Answer:
        """Return how many bytes the process grew by for so many different statements."""
        self._switch.turn("on")
        cursor = psycopg2.extensions.connection.cursor(
            self._places["lease"], cursor_factory=monitor.monitored(Idle)
        )
        _distinct(cursor, 0, 2000)
        before = _resident()
        _distinct(cursor, 2000, texts)
        return {"bytes": _resident() - before}


def _calls(cursor: Any) -> int:
    start = time.thread_time_ns()
    for _ in range(IDLE_CALLS):
        cursor.execute("SELECT 1", (1,))
    return time.thread_time_ns() - start


def _distinct(cursor: Any, start: int, end: int) -> None:
    """Ask different statements of different tables, ten a request."""
    for first in range(start, end, 10):
        watched = monitor.begin(QueryLog("request", "GET", f"/route/{first % 50}", "bench"))
        for number in range(first, min(first + 10, end)):
            cursor.execute(f"SELECT a, b, c FROM table_{number} WHERE id = {number} AND name = 'name {number}'")
        request_end.end(watched, 200)


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def _stay_on_one_core() -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])  # the first ones have the interrupts


def main() -> None:
    """Serve until the input ends."""
    logging.disable(logging.CRITICAL)
    setup = json.loads(input())
    _stay_on_one_core()
    bench = Bench(setup["dsn"])
    ask(bench._places["plain"].cursor(), "SELECT %s", 1000)
    serve(bench.jobs)


if __name__ == "__main__":
    main()
