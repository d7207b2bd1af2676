"""Many at once for one thing: misses for one key, and consumers of one secret, over several processes.

If this counts wrongly, a loader that ran twice goes unnoticed; its answers are counted too.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from contextlib import closing
from typing import Any

from backend import (
    Cache,
    OneTimeRefused,
    OneTimeSecrets,
    PostgresSecrets,
    RedisSecrets,
    ThreadedConnectionPool,
)

PATIENCE = 120.0  # seconds for everybody to be ready
LOAD_SECONDS = 0.2


def _ask_at_once(url: str, ready: Any, go: Any, threads: int, loads: Any, answers: Any) -> None:
    with closing(Cache(url, namespace="race", timeout=10.0, patience=60.0)) as cache:
        cache.get("nothing")  # connected

        def load() -> dict[str, int]:
            with loads.get_lock():
                loads.value += 1
            time.sleep(LOAD_SECONDS)
            return {"n": 1}

        def ask() -> None:
            go.wait(PATIENCE)
            if cache.get_or_load("popular", load, tags=["t"]) == {"n": 1}:
                with answers.get_lock():
                    answers.value += 1

        _together([ask] * threads, ready)


def race_misses(url: str, workers: int = 4, threads: int = 250) -> tuple[int, int]:
    """Have workers x threads callers miss one key at once.

    Returns:
        how often the loader ran, and how many callers got its answer.
    """
    context = multiprocessing.get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()
    loads, answers = context.Value("i", 0), context.Value("i", 0)
    racing = [
        context.Process(target=_ask_at_once, args=(url, ready, go, threads, loads, answers))
        for _ in range(workers)
    ]
    for worker in racing:
        worker.start()
    _wait_for(racing, ready)
    go.set()
    for worker in racing:
        worker.join()
    return loads.value, answers.value


def secrets_in(kind: str, where: str) -> tuple[OneTimeSecrets, Any]:
    """Return secrets in a store of a kind, and what to close: "postgres" by a DSN, "redis" by a URL."""
    if kind == "postgres":
        pool = ThreadedConnectionPool(1, 12, where)
        return OneTimeSecrets(PostgresSecrets(pool)), pool.closeall
    store = RedisSecrets(where, timeout=10.0)
    return OneTimeSecrets(store), store.close


def _consume_at_once(
    kind: str, where: str, issued: list[str], threads: int, ready: Any, go: Any, won: Any
) -> None:
    logging.getLogger("backend.one_time").setLevel(logging.ERROR)  # 199 of 200 are refused
    secrets, close = secrets_in(kind, where)

    def consume(number: int) -> None:
        go[number].wait(PATIENCE)
        try:
            secrets.consume("race", issued[number])
        except OneTimeRefused:
            return
        with won.get_lock():
            won[number] += 1

    for number in range(len(issued)):
        _together([lambda number=number: consume(number)] * threads, ready)
    close()


def race_consumers(kind: str, where: str, rounds: int = 20, processes: int = 4, threads: int = 50) -> list[int]:
    """Have processes x threads callers consume one secret at once, again and again.

    Returns:
        how many have won, of each round.
    """
    secrets, close = secrets_in(kind, where)
    issued = [secrets.issue("race") for _ in range(rounds)]
    close()
    context = multiprocessing.get_context("spawn")
    ready, go, won = context.Semaphore(0), [context.Event() for _ in issued], context.Array("i", rounds)
    counted: Any = won
    racing = [
        context.Process(target=_consume_at_once, args=(kind, where, issued, threads, ready, go, won))
        for _ in range(processes)
    ]
    for process in racing:
        process.start()
    for number in range(rounds):
        _wait_for(racing, ready)
        go[number].set()
    for process in racing:
        process.join()
    return list(counted)


def _together(functions: list[Any], ready: Any) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    ready.release()
    for thread in threads:
        thread.join()


def _wait_for(racing: list[Any], ready: Any) -> None:
    for _ in racing:
        if not ready.acquire(timeout=PATIENCE):
            raise RuntimeError(f"a racing process was not ready within {PATIENCE:.0f} s")
