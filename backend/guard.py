"""The lock of a pool, and what has to wait until its holder has let it go.

The collector runs finalizers at any allocation, also in the thread that is inside the lock: a `__del__` that
closes its connection there would wait for itself for ever. A log handler may write to the database, through
the same pool. So what comes up inside is queued, per thread, and done right after the release.

Knows nothing of pools. If this is wrong, a pool stands still.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class _Here(threading.local):
    """This thread's side: whether it is inside a guard, and what it does after that."""

    inside = False

    def __init__(self) -> None:
        self.tasks: deque[Callable[[], object]] = deque()


class Guard:
    """A lock for `with`; a second one inside it, of any pool, is an error and not a deadlock."""

    __slots__ = ("_lock",)
    # Of the class, for all guards; and not of the module, whose names are gone when the interpreter ends.
    _here = _Here()

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        here = self._here
        if here.inside:
            raise RuntimeError("a finalizer or signal handler used the pool while its own thread was inside it")
        here.inside = True  # before the lock: from here on finalizers must queue
        try:
            self._lock.acquire()
        except BaseException:
            here.inside = False
            raise

    def __exit__(self, *_: object) -> None:
        here = self._here
        self._lock.release()
        here.inside = False
        while here.tasks:
            here.tasks.popleft()()

    def is_inside(self) -> bool:
        """Tell whether this thread is inside a guard."""
        return self._here.inside

    def later(self, task: Callable[[], object]) -> None:
        """Run a task at once, or, inside a guard, right after it."""
        here = self._here
        if here.inside:
            here.tasks.append(task)
        else:
            task()
