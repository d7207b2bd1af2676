"""`track_memory` and `memory_tracker`: by how much the process grows while a function or a block runs.

    @track_memory
    def export(): ...

    with memory_tracker("report") as span:
        ...
    span.grown_bytes, span.peak_bytes

By default resident memory, read from /proc before and after: two reads, some 50 microseconds, no other cost. It
is the process's: what other threads take meanwhile counts as well, and memory that Python keeps for later use
does not shrink. `by="python"` asks tracemalloc, which knows each allocation and slows everything down.
Notes its spans beside their times in `timings()`. If this is wrong, a figure is.
"""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

from .spans import Around
from .system_metrics import memory_bytes
from .timers import TimeSpan
from .timings import table

WAYS = ("resident", "python")


class MemorySpan(TimeSpan):
    """One run of what is tracked.

    Attributes:
        before_bytes, after_bytes: memory in use at its start and its end; None where it cannot be had.
        peak_bytes: the most in use so far: by "resident" of the process since it began, by "python" of the span.
    """

    __slots__ = ("_way", "after_bytes", "before_bytes", "peak_bytes")

    def __init__(self, name: str, way: Any) -> None:
        super().__init__(name, None)
        self._way = way
        self.before_bytes: int | None = None
        self.after_bytes: int | None = None
        self.peak_bytes: int | None = None

    @property
    def grown_bytes(self) -> int:
        """By how much memory grew; below 0 when it shrank, 0 while it runs and where it cannot be had."""
        if self.before_bytes is None or self.after_bytes is None:
            return 0
        return self.after_bytes - self.before_bytes

    def begin(self) -> None:
        """Start, or go on after a pause."""
        if self.before_bytes is None:
            self.before_bytes = self._way.begin(self)
        super().begin()

    def end(self) -> None:
        """Note it in the table."""
        super().end()
        self.after_bytes, self.peak_bytes = self._way.end(self)
        if self.peak_bytes is not None:
            table.add_memory(self.name, self.grown_bytes, self.peak_bytes)


class _Resident:
    """Resident memory of the process."""

    def begin(self, _: MemorySpan) -> int | None:
        return memory_bytes()[0]

    def end(self, _: MemorySpan) -> tuple[int | None, int | None]:
        return memory_bytes()


class _Python:
    """What Python's allocator has given out, by tracemalloc; it traces while a span is open.

    tracemalloc knows one peak for all. So each start and end takes it down for the spans that are open, and has it
    begin again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the spans, and the order of asking and resetting
        self._peaks: dict[int, int] = {}
        self._is_ours = False

    def begin(self, span: MemorySpan) -> int:
        with self._lock:
            if not tracemalloc.is_tracing():
                tracemalloc.start()
                self._is_ours = True
            now = self._take_peak()
            self._peaks[id(span)] = now
            return now

    def end(self, span: MemorySpan) -> tuple[int, int]:
        with self._lock:
            now = self._take_peak()
            peak = self._peaks.pop(id(span), now)
            if not self._peaks and self._is_ours:
                tracemalloc.stop()
                self._is_ours = False
            return now, peak

    def _take_peak(self) -> int:
        now, peak = tracemalloc.get_traced_memory()
        for span in self._peaks:
            self._peaks[span] = max(self._peaks[span], peak)
        tracemalloc.reset_peak()
        return now


_WAYS = dict(zip(WAYS, (_Resident(), _Python()), strict=True))


class MemoryTracker(Around):
    """Tracks the memory of functions and blocks: a decorator and a context manager, with and without parentheses.

    Args:
        name: what it is noted under; None takes the function's name, or the line of the `with`.
        by: "resident" asks the system, "python" asks tracemalloc.

    Raises:
        ValueError: `by` is none of these.
    """

    def __init__(self, name: str | None = None, by: str = "resident") -> None:
        super().__init__(name)
        if by not in WAYS:
            raise ValueError(f"by={by!r} is no way to track memory; there are {', '.join(WAYS)}")
        self.by = by

    def new_span(self, name: str) -> MemorySpan:
        """Return a span that has not begun."""
        return MemorySpan(name, _WAYS[self.by])


track_memory = MemoryTracker()
memory_tracker = MemoryTracker()
