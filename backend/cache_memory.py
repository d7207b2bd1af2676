"""A cache's store in this worker's memory: bounded by entries and bytes, what was used longest ago goes first.

Other workers do not see it: what one of them invalidates lives on in the others until its time is over. Values are
bytes, so that nobody changes what is kept. Knows nothing of entries' contents. If this is wrong, a worker's memory
grows without end.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from . import fork

MOST_ENTRIES = 10_000
MOST_BYTES = 64 * 1024 * 1024
OVERHEAD = 200  # bytes that an entry costs beside its name and value, about


class MemoryStore:
    """Bytes by name, each with an end.

    Args:
        most_entries, most_bytes: bounds of the whole.
        clock: seconds that only go forward.
    """

    is_shared = False
    server = ""

    def __init__(
        self,
        most_entries: int = MOST_ENTRIES,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_entries, self._most_bytes, self._clock = most_entries, most_bytes, clock
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        fork.protect(self)

    def _after_fork(self) -> None:
        """Begin with nothing in a child: its parent's invalidations will not reach it."""
        self._lock = threading.Lock()
        self._kept, self._bytes = OrderedDict(), 0

    def fetch(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the values, None where there is none."""
        now = self._clock()
        with self._lock:
            return [self._get(name, now) for name in names]

    def remaining(self, name: str) -> float:
        """Return how many seconds an entry still has."""
        with self._lock:
            return max(0.0, self._kept.get(name, (b"", 0.0))[1] - self._clock())

    def keep(self, name: str, value: bytes, ttl: float) -> bool:
        """Keep a value for so many seconds; False when it is too large."""
        with self._lock:
            return self._put(name, value, self._clock() + ttl)

    def tokens(self, proposed: Mapping[str, str], ttl: float) -> list[str | None]:
        """Return the token of each name; where there is none, the proposed one is from now on."""
        now = self._clock()
        with self._lock:
            for name, token in proposed.items():
                if self._get(name, now) is None:
                    self._put(name, token.encode(), now + ttl)
            found = [self._get(name, now) for name in proposed]
        return [None if value is None else value.decode() for value in found]

    def forget(self, names: Sequence[str]) -> None:
        """Forget values."""
        with self._lock:
            for name in names:
                self._pop(name)

    def forget_all(self, prefix: str) -> int:
        """Forget everything whose name begins so; returns how many."""
        with self._lock:
            names = [name for name in self._kept if name.startswith(prefix)]
            for name in names:
                self._pop(name)
        return len(names)

    def claim(self, name: str, token: str) -> bool:
        """Take a lock; here the flights of the process are enough."""
        return True

    def release(self, name: str, token: str) -> None:
        """Give a lock back."""

    def close(self) -> None:
        """Let go of everything."""
        self.forget_all("")

    def stats(self) -> dict[str, float]:
        """Return what is kept: entries, and bytes as counted against the bound."""
        return {"entries": len(self._kept), "bytes": self._bytes}

    def _get(self, name: str, now: float) -> bytes | None:
        found = self._kept.get(name)
        if found is None:
            return None
        if found[1] <= now:
            self._pop(name)
            return None
        self._kept.move_to_end(name)
        return found[0]

    def _put(self, name: str, value: bytes, end: float) -> bool:
        size = len(name) + len(value) + OVERHEAD
        if size > self._most_bytes:
            return False
        self._pop(name)
        self._kept[name] = value, end
        self._bytes += size
        while len(self._kept) > self._most_entries or self._bytes > self._most_bytes:
            oldest, (gone, _) = self._kept.popitem(last=False)
            self._bytes -= len(oldest) + len(gone) + OVERHEAD
        return True

    def _pop(self, name: str) -> None:
        found = self._kept.pop(name, None)
        if found is not None:
            self._bytes -= len(name) + len(found[0]) + OVERHEAD
