"""Who holds which connection, since when, from where.

Holds leases weakly: a connection that its holder drops without giving it back is collected as it would be
without a pool, and `drops` tells the pool to free the slot. Only a lease with a key is held: the key is the
handle by which its user finds it again. Every method is called with the pool's lock held.
If this is wrong, slots get lost.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from .connection import Record, site_text

log = logging.getLogger(__name__)


class Ledger:
    """The leases of one pool, in the order they were taken."""

    def __init__(self) -> None:
        self._leases: dict[Record, None] = {}
        self._keys: dict[Any, Any] = {}
        self._dropped: deque[Record] = deque()

    def __len__(self) -> int:
        return len(self._leases)

    def watch(self, conn: Any, record: Record, wake: Callable[[], None]) -> None:
        """Have `wake` called when the connection was garbage collected, leased or not."""
        dropped = self._dropped

        def notice(_: Any) -> None:
            dropped.append(record)  # inside the collector: no lock here, `wake` must not wait for one
            wake()

        record.ref = weakref.ref(conn, notice)

    def add(self, conn: Any) -> None:
        """Enter a lease."""
        record: Record = conn._record
        self._leases[record] = None
        if record.key is not None:
            self._keys[record.key] = conn

    def remove(self, record: Record) -> bool:
        """Strike a lease out; False when it was none."""
        if record not in self._leases:
            return False
        del self._leases[record]
        held = self._keys.get(record.key)
        if held is not None and held._record is record:
            del self._keys[record.key]
        return True

    def drops(self) -> Iterator[Record]:
        """Strike out, and yield, the leases whose connection was garbage collected."""
        while self._dropped:
            record = self._dropped.popleft()
            if self.remove(record):
                yield record

    def keyed(self, key: Any) -> Any:
        """Return the connection leased under a caller's key, or None."""
        return self._keys.get(key)

    def connections(self) -> list[Any]:
        """Return the leased connections that still exist."""
        held = [record.ref() for record in self._leases if record.ref]
        return [conn for conn in held if conn is not None]

    def holds(self, thread: int) -> bool:
        """Tell whether that thread holds a lease."""
        return any(record.thread == thread for record in self._leases)

    def longest(self) -> float:
        """Return for how many seconds the oldest lease has been held; 0.0 without leases."""
        for record in self._leases:
            return time.monotonic() - record.since
        return 0.0

    def report_leaks(self, after: float, later: Callable[[Callable[[], None]], None]) -> None:
        """Log each lease that is held for longer than `after` seconds, once.

        Args:
            after: seconds.
            later: called with what writes a line: a log may be slow, and may use the pool.
        """
        now = time.monotonic()
        for record in self._leases:
            if now - record.since <= after:
                return
            if not record.leak_reported:
                record.leak_reported = True
                text = "connection held for %.1f s; taken at %s"
                later(partial(log.warning, text, now - record.since, site_text(record.site)))


def report_return(record: Record) -> None:
    """Say that a lease reported as held too long came back after all."""
    if record.leak_reported:
        held = time.monotonic() - record.since
        log.warning("connection given back after all, after %.1f s", held)
