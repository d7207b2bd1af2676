"""The connections of one pool that nobody uses at the moment.

Last in, first out: the one used last has a warm backend, and those not needed grow old together. Every method
is called with the pool's lock held. If this is wrong, connections are lost, or closed while still wanted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

_probe = [object()]
UNREFERENCED = sys.getrefcount(_probe[-1])  # what it says of a list's item that nothing else refers to


class Idle:
    """A pool's idle connections, in the order of their return."""

    def __init__(self) -> None:
        self._connections: list[Any] = []

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._connections)

    def put(self, conn: Any) -> None:
        """Keep a connection."""
        self._connections.append(conn)

    def take(self) -> Any:
        """Take the connection that was used last; None when there is none."""
        if not self._connections:
            return None
        if sys.getrefcount(self._connections[-1]) == UNREFERENCED:
            self._connections[-1]._record.givers.clear()  # no stale variable is left that could be used
        return self._connections.pop()

    def take_oldest(self, unused_for: float = 0.0) -> Any:
        """Take the connection that was not used for longest; None when none was unused for so many seconds."""
        if not self._connections:
            return None
        if time.monotonic() - self._connections[0]._record.returned < unused_for:
            return None
        return self._connections.pop(0)

    def take_all(self) -> list[Any]:
        """Take every connection."""
        taken, self._connections = self._connections, []
        return taken
