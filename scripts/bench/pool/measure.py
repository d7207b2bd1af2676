"""What is timed, in a process of the subject's own: no peer's threads or memory weigh on another's."""

from __future__ import annotations

import gc
import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from ..spread import jain, percentile
from .subjects import Handle, Open

BATCH = 20  # calls between two looks at the clock, fewer of slow ones
LONG_BATCH = 0.01  # seconds
QUERY = "SELECT 1"

Figures = dict[str, float]
Take = Callable[[], Any]


def ask(take: Take, give: Callable[[Any], object], statement: str = QUERY) -> None:
    """Take a connection, run one statement, give it back."""
    conn = take()
    try:
        run(conn, statement)
    finally:
        give(conn)


def run(conn: Any, statement: str) -> None:
    """Run one statement and fetch its row."""
    cursor = conn.cursor()
    cursor.execute(statement)
    cursor.fetchone()
    cursor.close()


def warm_up(handle: Handle, size: int) -> None:
    """Have all connections open, by holding them at once, and every path gone through."""
    conns = [handle.wait() for _ in range(size)]
    for conn in conns:
        run(conn, QUERY)
    for conn in conns:
        handle.give(conn)


def checkout(handle: Handle, seconds: float) -> Figures:
    """Time one thread that takes and gives back, without a query: by the pool's two calls, and by `with`."""
    take, give, block = handle.take, handle.give, handle.block()

    def once() -> None:
        give(take())

    def blockwise() -> None:
        with block():
            pass

    return {"checkout_us": _each(once, seconds / 2), "block_us": _each(blockwise, seconds / 2)}


def query(handle: Handle, seconds: float) -> Figures:
    """Time one thread that takes, asks and gives back."""
    take, give = handle.take, handle.give

    def once() -> None:
        ask(take, give)

    return {"query_us": _each(once, seconds)}


def _each(once: Callable[[], None], seconds: float) -> float:
    """Return the microseconds of one call: the median of batches, which one interruption does not move."""
    size = max(1, min(BATCH, round(LONG_BATCH / _batch(once, 1))))
    batches: list[float] = []
    end = time.perf_counter() + seconds
    while not batches or time.perf_counter() < end:
        batches.append(_batch(once, size))
    return statistics.median(batches) * 1e6


def _batch(once: Callable[[], None], size: int) -> float:
    start = time.perf_counter()
    for _ in repeat(None, size):
        once()
    return (time.perf_counter() - start) / size


@dataclass(frozen=True)
class Load:
    """What threads that all want connections got: per thread, the waits in seconds, and failures."""

    waits: list[list[float]]
    done: list[int]
    failed: list[int]
    elapsed: float


def load(handle: Handle, threads: int, seconds: float, statement: str) -> Load:
    """Have threads take, ask and give back for a while; those that wait at its end are still served."""
    waits: list[list[float]] = [[] for _ in range(threads)]
    done, failed = [0] * threads, [0] * threads
    end = [0.0]
    wait, give = handle.wait, handle.give

    def visit(number: int) -> None:
        mine = waits[number]
        while (asked := time.perf_counter()) < end[0]:
            try:
                conn = wait()
                mine.append(time.perf_counter() - asked)
                try:
                    run(conn, statement)
                finally:
                    give(conn)
                done[number] += 1
            except Exception:
                failed[number] += 1

    def start() -> None:
        end[0] = time.perf_counter() + seconds

    return Load(waits, done, failed, crowd(threads, visit, start))


def crowd(threads: int, body: Callable[[int], None], start: Callable[[], None]) -> float:
    """Run a body in many threads from one moment on; returns the seconds until the last has ended.

    Args:
        threads: how many.
        body: given the thread's number.
        start: runs when all threads are up and before any goes on, within the time.
    """
    go = threading.Event()
    up = threading.Barrier(threads + 1)

    def enter(number: int) -> None:
        up.wait()
        go.wait()
        body(number)

    started = [threading.Thread(target=enter, args=(number,), daemon=True) for number in range(threads)]
    for thread in started:
        thread.start()
    up.wait()
    begun = time.perf_counter()
    start()
    go.set()
    for thread in started:
        thread.join()
    return time.perf_counter() - begun


def contention(handle: Handle, threads: int, seconds: float, hold_ms: float) -> Figures:
    """Measure many threads on few connections, each of which is held for a while."""
    got = load(handle, threads, seconds, f"SELECT pg_sleep({hold_ms / 1000:g})")
    waits = sorted(wait * 1000 for mine in got.waits for wait in mine)
    return {
        "ops_per_second": sum(got.done) / got.elapsed,
        "wait_p50_ms": percentile(waits, 0.5),
        "wait_p99_ms": percentile(waits, 0.99),
        "wait_max_ms": waits[-1] if waits else 0.0,
        "jain": jain(got.done),
        "ops_low": min(got.done),
        "ops_high": max(got.done),
        "failed": sum(got.failed),
    }


def by_threads(handle: Handle, threads: int, seconds: float) -> Figures:
    """Return what one visit costs the process when that many threads want one."""
    got = load(handle, threads, seconds, QUERY)
    return {f"threads_{threads}_us": got.elapsed / max(sum(got.done), 1) * 1e6}


def storm(open_pool: Open, dsn: str, threads: int, size: int, timeout: float) -> Figures:
    """Time a fresh pool from its making until each of many threads, all there at once, was served."""
    opened: list[Handle] = []
    failed = [0] * threads

    def start() -> None:
        opened.append(open_pool(dsn, size, timeout))

    def visit(number: int) -> None:
        try:
            ask(opened[0].wait, opened[0].give)
        except Exception:
            failed[number] = 1

    elapsed = crowd(threads, visit, start)
    opened[0].close()
    return {"storm_ms": elapsed * 1000, "storm_failed": sum(failed)}


def memory(open_pool: Open, dsn: str, size: int, timeout: float) -> Figures:
    """Return how much the process grows by one idle connection; to be asked of a fresh process."""
    first = open_pool(dsn, 1, timeout)  # imports, caches, the driver's own start
    warm_up(first, 1)
    first.close()
    gc.collect()
    before = resident_kib()
    handle = open_pool(dsn, size, timeout)
    warm_up(handle, size)
    gc.collect()
    grown = resident_kib() - before
    handle.close()
    return {"memory_kib": grown / size}


def resident_kib() -> float:
    """Return the memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def recovery(handle: Handle, checkouts: int, seconds: float) -> Figures:
    """Take, ask and give back after the server ended every connection, and count what fails.

    Args:
        handle: a pool whose connections have just been ended.
        checkouts: how many to try.
        seconds: when to give up, without a time for all; who is waited for then is still waited for.
    """
    failed = tried = 0
    first = 0.0
    begun = time.perf_counter()
    while tried < checkouts and time.perf_counter() - begun < seconds:
        tried += 1
        try:
            ask(handle.wait, handle.give)
            first = first or time.perf_counter() - begun
        except Exception:
            failed += 1
    elapsed = time.perf_counter() - begun
    figures = {
        "recovery_failed": failed,
        "recovery_untried": checkouts - tried,
        "recovery_first_ms": (first or elapsed) * 1000,
    }
    return figures if tried < checkouts else {**figures, "recovery_all_ms": elapsed * 1000}
