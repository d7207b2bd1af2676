"""One background thread per process that looks after its pools: what no caller should have to wait for.

It starts when the first pool opens a connection, keeps pools by weak references, and ends when there are none
left. A child of a fork has no thread of its parent's; its own starts with its first connection.
Knows pools by one method, `_housekeep()`, which returns in how many seconds it wants to be called again.
If this is wrong, pools do not shrink, fill up or report; callers are served all the same.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from typing import Any

log = logging.getLogger(__name__)
RETRY = 30.0  # seconds after a round that failed


class Housekeeper:
    """The thread, and when which pool is due."""

    def __init__(self) -> None:
        self._start_afresh()
        self._pid = -1  # the first `watch` makes the lock anew: gevent may replace locks after this import

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        self._due: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, pool: Any, within: float = 0.0) -> None:
        """Have a pool looked after, in so many seconds at the latest; starts the thread if need be."""
        if self._pid != os.getpid():
            self._start_afresh()
        due = time.monotonic() + within
        with self._changed:
            known = self._due.get(pool)
            if known is not None and known <= due:
                return
            self._due[pool] = due
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pool-housekeeper", daemon=True)
                self._thread.start()
            else:
                self._changed.notify()

    def _run(self) -> None:
        changed = self._changed
        while True:
            with changed:
                pool = self._next(changed)
                if pool is None:
                    self._thread = None
                    return
            self._look_after(pool)
            del pool  # or it would be kept while this thread sleeps

    def _next(self, changed: threading.Condition) -> Any:
        """Wait until a pool is due, and return it; None when there are none left. Called with the lock held."""
        while True:
            if changed is not self._changed or self._pid != os.getpid():
                # A thread that gevent made lives on in a forked child; its state there is the parent's.
                threading.Event().wait()
            due = [(when, pool) for pool, when in list(self._due.items())]
            if not due:
                return None
            when, pool = min(due, key=lambda each: each[0])
            wait = when - time.monotonic()
            if wait <= 0.0:
                return pool
            del due, pool
            changed.wait(min(wait, RETRY))

    def _look_after(self, pool: Any) -> None:
        try:
            again = pool._housekeep()
        except Exception:
            log.exception("looking after a pool failed; the next try is in %.0f s", RETRY)
            again = RETRY
        with self._changed:
            if again is None:
                self._due.pop(pool, None)
            else:
                self._due[pool] = time.monotonic() + again


housekeeper = Housekeeper()
