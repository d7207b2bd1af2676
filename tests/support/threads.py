"""Threads with a deadline: what one returns or raises reaches the test, and a hang prints every stack."""

from __future__ import annotations

import faulthandler
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

DEADLINE = 10.0  # seconds; far beyond what any step here takes, far below the suite's own alarm


class Running:
    """One thread that runs a function.

    Args:
        work: what it runs.
        *args: its arguments.
    """

    def __init__(self, work: Callable[..., Any], *args: Any) -> None:
        self._outcome: list[Any] = []
        self._error: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(work, *args), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[..., Any], *args: Any) -> None:
        try:
            self._outcome.append(work(*args))
        except BaseException as error:
            self._error.append(error)

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        return self._thread.is_alive()

    def result(self, timeout: float = DEADLINE) -> Any:
        """Return what the function returned, or raise what it raised."""
        self.join(timeout)
        if self._error:
            raise self._error[0]
        return self._outcome[0]

    def error(self, timeout: float = DEADLINE) -> BaseException | None:
        """Return what the function raised, or None."""
        self.join(timeout)
        return self._error[0] if self._error else None

    def join(self, timeout: float = DEADLINE) -> None:
        """Wait for the end; a thread that hangs fails the test with every stack printed."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            hang(f"a thread did not end within {timeout} s")


def hang(message: str) -> None:
    """Print every thread's stack and fail the test."""
    faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
    pytest.fail(message)


def together(count: int, work: Callable[[int], Any], timeout: float = DEADLINE) -> list[Any]:
    """Run `work(0)` ... `work(count - 1)` in as many threads, let go at the same moment; return the results."""
    barrier = threading.Barrier(count)

    def start(number: int) -> Any:
        barrier.wait(timeout)
        return work(number)

    running = [Running(start, number) for number in range(count)]
    end = time.monotonic() + timeout
    return [thread.result(max(0.1, end - time.monotonic())) for thread in running]


def until(condition: Callable[[], Any], what: str, timeout: float = DEADLINE) -> Any:
    """Wait for a state that no event announces; returns the condition's value."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            hang(f"not within {timeout} s: {what}")
        time.sleep(0.001)
    return value


def waiting(pool: Any, count: int = 1) -> None:
    """Wait until that many callers wait for a connection of the pool."""
    until(lambda: len(pool._slots.queue) == count, f"{count} callers wait")
