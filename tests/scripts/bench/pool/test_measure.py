"""What is timed, on a pool that is none: figures whose truth is known."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from scripts.bench.pool import measure
from scripts.bench.pool.subjects import Handle


class Cursor:
    """Answers at once, or after a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def execute(self, statement: str) -> None:
        time.sleep(self._seconds)

    def fetchone(self) -> None: ...

    def close(self) -> None: ...


class Connection:
    """Has cursors."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds

    def cursor(self) -> Cursor:
        return Cursor(self._seconds)


def _handle(seconds: float = 0.0, limit: int = 8, failures: int = 0) -> tuple[Handle, list[int]]:
    """A pool of a limit whose first takes fail, and its [out, most out, takes]."""
    free, lock, state = threading.Semaphore(limit), threading.Lock(), [0, 0, 0]

    def take() -> Connection:
        with lock:
            state[2] += 1
            if state[2] <= failures:
                raise RuntimeError("gone")
        free.acquire()
        with lock:
            state[0] += 1
            state[1] = max(state[:2])
        return Connection(seconds)

    def give(conn: Any) -> None:
        with lock:
            state[0] -= 1
        free.release()

    return Handle(take, give, lambda: None, take), state


def test_checkout_takes_and_gives_as_often() -> None:
    handle, state = _handle()
    assert 0 < measure.checkout(handle, 0.01)["checkout_us"] < 1000
    assert state[0] == 0 and state[2] >= measure.BATCH


def test_query_has_the_time_of_the_statement() -> None:
    handle, _ = _handle(seconds=0.002)
    assert measure.query(handle, 0.02)["query_us"] >= 2000


def test_contention_keeps_everyone_busy_and_counts_each() -> None:
    handle, state = _handle(seconds=0.002, limit=2)
    figures = measure.contention(handle, threads=4, seconds=0.1, hold_ms=2)
    assert (figures["failed"], state[0], state[1]) == (0, 0, 2)
    assert 0 < figures["ops_per_second"] <= 1000
    assert figures["wait_p50_ms"] <= figures["wait_p99_ms"] <= figures["wait_max_ms"]
    assert figures["ops_low"] <= figures["ops_high"]


def test_contention_counts_failures() -> None:
    handle, _ = _handle(failures=3)
    assert measure.contention(handle, threads=2, seconds=0.02, hold_ms=0)["failed"] == 3


def test_recovery_counts_failures_and_the_time_to_the_first_answer() -> None:
    handle, state = _handle(failures=2)
    figures = measure.recovery(handle, checkouts=10, seconds=5)
    assert (figures["recovery_failed"], figures["recovery_untried"], state[2]) == (2, 0, 10)
    assert 0 < figures["recovery_first_ms"] <= figures["recovery_all_ms"]


def test_recovery_gives_up_in_time() -> None:
    handle, _ = _handle(seconds=0.02)
    figures = measure.recovery(handle, checkouts=1000, seconds=0.05)
    assert figures["recovery_untried"] > 900
    assert "recovery_all_ms" not in figures  # which would look quicker than it is


def test_a_storm_is_timed_from_the_making_of_the_pool() -> None:
    def open_pool(dsn: str, size: int, timeout: float) -> Handle:
        time.sleep(0.02)
        return _handle(limit=size)[0]

    figures = measure.storm(open_pool, "", threads=16, size=2, timeout=1)
    assert figures["storm_ms"] >= 20 and figures["storm_failed"] == 0


def test_a_crowd_starts_together_and_is_waited_for() -> None:
    seen: list[int] = []
    begun: list[bool] = []
    elapsed = measure.crowd(5, lambda number: seen.append(number if begun else -1), lambda: begun.append(True))
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert elapsed > 0


def test_resident_memory_is_that_of_this_process() -> None:
    assert measure.resident_kib() == pytest.approx(measure.resident_kib(), rel=0.2)
    assert measure.resident_kib() > 1000
