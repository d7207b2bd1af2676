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
from threading import get_ident


class Guard:
    """A lock for `with`; a second one inside it, of any pool, is an error and not a deadlock.

    Attributes:
        inside: the threads that are inside a guard, or about to be; of the class, for all guards, and not of
            the module, whose names are gone when the interpreter ends.
    """

    __slots__ = ("_lock",)
    inside: set[int] = set()
    _tasks: dict[int, deque[Callable[[], object]]] = {}  # by thread, for after its release

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        me = get_ident()
        if me in self.inside:
            raise RuntimeError("a finalizer or signal handler used the pool while its own thread was inside it")
        self.inside.add(me)  # before the lock: from here on finalizers must queue
        try:
            self._lock.acquire()
        except BaseException:
            self.inside.discard(me)
            raise

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        me = get_ident()
        self.inside.discard(me)
        while self._tasks and (tasks := self._tasks.pop(me, None)):
            while tasks:
                tasks.popleft()()

    def is_inside(self) -> bool:
        """Tell whether this thread is inside a guard."""
        return get_ident() in self.inside

    def later(self, task: Callable[[], object]) -> None:
        """Run a task at once, or, inside a guard, right after it."""
        if get_ident() in self.inside:
            self._tasks.setdefault(get_ident(), deque()).append(task)
        else:
            task()

    @classmethod
    def forget_others(cls) -> None:
        """Forget the threads that a fork has left behind."""
        me = get_ident()
        cls.inside &= {me}
        for thread in cls._tasks.keys() - {me}:
            del cls._tasks[thread]
