"""First come, first served: the queue of callers that wait for a connection.

Each waiter sleeps on a lock of its own and is woken with its result already in hand, so a newcomer cannot
take what a waiter was woken for (a semaphore lets it: 8 of 64 threads then get everything). All methods but
`Waiter.sleep` are called with the pool's lock held; that is what makes hand-off and giving up one decision.
Knows nothing of connections. If this is wrong, slots get lost or waiters starve.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any


class Waiter:
    """One waiting caller.

    Attributes:
        since: when it began to wait.
        thread: who waits.
        result: what was handed over: a connection, PERMIT to open one, or an exception; None while waiting.
    """

    __slots__ = ("_alarm", "result", "since", "thread")

    def __init__(self, since: float) -> None:
        self._alarm = threading.Lock()
        self._alarm.acquire()
        self.since = since
        self.thread = threading.get_ident()
        self.result: Any = None

    def sleep(self, seconds: float) -> None:
        """Sleep until something is handed over, at most so many seconds. Called without the pool's lock."""
        self._alarm.acquire(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))

    def wake(self, result: Any) -> None:
        """Hand the result over."""
        self.result = result
        self._alarm.release()


class WaitQueue:
    """The waiters in the order of their arrival.

    Attributes:
        waited, wait_time: how many have waited so far, and for how many seconds in all.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._waiters: deque[Waiter] = deque()
        self._clock = clock
        self.waited = 0
        self.wait_time = 0.0

    def __len__(self) -> int:
        return len(self._waiters)

    def waiters(self) -> list[tuple[int, float]]:
        """Return each waiter's thread and when it began to wait, the first to be served first."""
        return [(waiter.thread, waiter.since) for waiter in self._waiters]

    def join(self) -> Waiter:
        """Add a waiter at the end."""
        waiter = Waiter(self._clock())
        self._waiters.append(waiter)
        return waiter

    def join_first(self) -> Waiter:
        """Add a waiter at the head: it has waited its turn already."""
        waiter = Waiter(self._clock())
        self._waiters.appendleft(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> Any:
        """Take a waiter out, if it is still in; returns what had been handed to it in the meantime, or None."""
        if waiter.result is None and waiter in self._waiters:
            self._waiters.remove(waiter)
            self._count(waiter)
        return waiter.result

    def serve(self, result: Any) -> bool:
        """Hand the result to the first waiter; False when nobody waits."""
        if not self._waiters:
            return False
        waiter = self._waiters.popleft()
        self._count(waiter)
        waiter.wake(result)
        return True

    def _count(self, waiter: Waiter) -> None:
        self.waited += 1
        self.wait_time += self._clock() - waiter.since
