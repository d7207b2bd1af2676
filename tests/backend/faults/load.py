"""Load on a pool while something breaks, and what to say about it afterwards: who failed when, and of what."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from math import inf
from types import TracebackType
from typing import Any, NamedTuple

import psycopg2
import pytest

from tests.support.sql import query
from tests.support.threads import Running, until

THREADS = 16
# Seconds from the server's first answer to the first lease served: 0.02 to 0.23 on a machine of one's own, and a
# host that takes the processor away must not fail the test. psycopg_pool needs 8 to 27.
SOON = 2.0


class Failure(NamedTuple):
    """One lease that failed: when it was asked for, when it failed, and of what."""

    start: float
    end: float
    error: BaseException


class Holders:
    """Who holds which connection, by the leases' own word: two at a time is what may never be."""

    def __init__(self) -> None:
        self._holders: dict[int, int] = {}
        self.shared: list[tuple[int, int]] = []

    def enter(self, conn: Any) -> None:
        """Note that this thread uses the connection."""
        me = threading.get_ident()
        other = self._holders.setdefault(id(conn), me)  # a single step
        if other != me:
            self.shared.append((other, me))

    def leave(self, conn: Any) -> None:
        """Note that it no longer does."""
        if self._holders.pop(id(conn), None) != threading.get_ident():
            self.shared.append((0, threading.get_ident()))


class Load:
    """Threads that lease and query until the `with` block ends.

    Args:
        pool: the pool.
        threads: how many.
        work: called with each leased connection, instead of SELECT 1.

    Attributes:
        served: when each good lease ended.
        failures: the others.
        longest: seconds of the longest lease, with the wait for it.
    """

    def __init__(self, pool: Any, threads: int = THREADS, work: Callable[[Any], Any] | None = None) -> None:
        self.pool = pool
        self.served: list[float] = []
        self.failures: list[Failure] = []
        self.longest = 0.0
        self.holders = Holders()
        self._work = work or (lambda conn: query(conn, "SELECT 1"))
        self._is_over = threading.Event()
        self._count = threads
        self._threads: list[Running] = []

    def __enter__(self) -> Load:
        self._threads = [Running(self._lease) for _ in range(self._count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.result(30.0)
        assert not self.holders.shared

    def _lease(self) -> None:
        while not self._is_over.is_set():
            start = time.monotonic()
            try:
                with self.pool.connection() as conn:
                    self.holders.enter(conn)
                    try:
                        self._work(conn)
                    finally:
                        self.holders.leave(conn)
                self.served.append(time.monotonic())
            except psycopg2.Error as error:
                self.failures.append(Failure(start, time.monotonic(), error.with_traceback(None)))
                self._is_over.wait(0.01)  # a refused connect costs nothing; let the server work as well
            self.longest = max(self.longest, time.monotonic() - start)

    def serves(self, count: int, timeout: float = 10.0) -> None:
        """Wait until so many more leases were served."""
        goal = len(self.served) + count
        until(lambda: len(self.served) >= goal, f"{count} more leases are served: {self}", timeout)

    def fails(self, count: int = 1, timeout: float = 10.0) -> None:
        """Wait until so many more leases have failed."""
        goal = len(self.failures) + count
        until(lambda: len(self.failures) >= goal, f"{count} more leases fail: {self}", timeout)

    def begun_after(self, moment: float) -> list[Failure]:
        """Return the failures of leases that were asked for later than that."""
        return [failure for failure in self.failures if failure.start > moment]

    def first_served_after(self, moment: float) -> float:
        """Return how long after that moment the first lease was served."""
        return min(end for end in list(self.served) if end > moment) - moment

    def __repr__(self) -> str:
        kinds = {f"{type(each.error).__name__}: {each.error}" for each in self.failures[-50:]}
        return f"served={len(self.served)} failed={len(self.failures)} {self.pool!r} {kinds}"


SETTLED = 0.1  # seconds; a thread that was permitted to connect has begun to


class Attempts:
    """Stands in for `psycopg2._connect`: notes when each attempt to connect began and ended, and how."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        driver: Any = psycopg2
        self._original = driver._connect
        self.spans: list[tuple[float, float, bool]] = []
        self.running = 0
        monkeypatch.setattr(psycopg2, "_connect", self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("connection_factory") is None:
            return self._original(*args, **kwargs)  # a test's own connection
        start, done = time.monotonic(), False
        try:
            conn = self._original(*args, **kwargs)
            done = True
            return conn
        finally:
            self.spans.append((start, time.monotonic(), done))

    @property
    def count(self) -> int:
        """How many have ended."""
        return len(self.spans)

    def overlaps(self, after: float) -> list[tuple[float, float, bool]]:
        """Return the attempts of the outage after that moment that began before an earlier one had ended.

        What was permitted before the first failure was known is none of them; callers may be slow to start.
        With the first success the outage is over for the pool, and it may open several at once.
        """
        known = min((end for _, end, done in self.spans if end > after and not done), default=after)
        over = min((end for _, end, done in self.spans if end > known and done), default=inf)
        spans = sorted(span for span in self.spans if known + SETTLED < span[0] < over)
        return [later for earlier, later in pairwise(spans) if later[0] < earlier[1]]


def first_accepted(dsn: str, timeout: float = 30.0) -> float:
    """Wait until the server accepts connections; return when that was."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        start = time.monotonic()
        try:
            psycopg2.connect(dsn, connect_timeout=2).close()
            return start
        except psycopg2.OperationalError:
            time.sleep(0.005)
    raise AssertionError(f"the server did not accept a connection within {timeout} s")


def check_whole(pool: Any) -> None:
    """Assert that nothing is lost: nobody holds or waits, and as many as maxconn can be leased at once."""
    stats = until(lambda: _at_rest(pool), f"the pool is at rest: {pool!r} {pool.stats()}")
    assert stats["size"] == stats["idle"] <= pool.maxconn, stats
    held = [pool.getconn(timeout=5.0) for _ in range(pool.maxconn)]
    assert len({conn.info.backend_pid for conn in held}) == pool.maxconn
    assert pool.stats()["size"] == pool.maxconn
    for conn in held:
        assert query(conn, "SELECT 1") == 1
        pool.putconn(conn)


def _at_rest(pool: Any) -> dict[str, Any] | None:
    stats: dict[str, Any] = pool.stats()
    is_moving = stats["used"] or stats["waiting"] or stats["connecting"] or stats["size"] != stats["idle"]
    return None if is_moving else stats
