"""How many streams of a pool may be open at a time: exports must leave connections for everybody else.

Counts per pool and process; a forked child counts from 0. Must not import anything of ours but the errors.
If this is wrong, four people who press "export" stop the app, or nobody can export any more.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

from .errors import StreamBusy

SHARE = 4  # one connection in so many may be a stream's


class Ticket:
    """The right to one stream; `give_back` may be called twice."""

    def __init__(self, limit: StreamLimit, pool: Any) -> None:
        self._limit = limit
        self._pool = pool

    def give_back(self) -> None:
        """Let another stream begin."""
        pool, self._pool = self._pool, None
        if pool is not None:
            self._limit._leave(pool)


class StreamLimit:
    """Open streams per pool."""

    def __init__(self) -> None:
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()  # guards the counts; reentrant, for the collector may end a stream inside
        self._open: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def enter(self, pool: Any, most: int) -> Ticket:
        """Count one more stream.

        Args:
            pool: whose connection it will hold.
            most: streams at a time; 0 is a quarter of the pool's connections, one at least.

        Raises:
            StreamBusy: so many are open already.
        """
        if self._pid != os.getpid():
            self._start_afresh()
        allowed = most or max(1, pool.maxconn // SHARE)
        with self._lock:
            count = self._open.get(pool, 0)
            if count >= allowed:
                raise StreamBusy(
                    f"{count} streams are open and {allowed} are allowed at a time; try later, or raise "
                    "StreamOptions.most"
                )
            self._open[pool] = count + 1
        return Ticket(self, pool)

    def _leave(self, pool: Any) -> None:
        if self._pid != os.getpid():
            return  # counted in the parent
        with self._lock:
            self._open[pool] = max(0, self._open.get(pool, 0) - 1)


limit = StreamLimit()
