"""How long named pieces of the app take: one bounded table per process, filled by timers and memory trackers.

Of each name it keeps counts in a fixed histogram, so that a percentile costs no list of samples: four steps per
doubling, from a microsecond to half an hour, which puts p50 and p95 within a tenth of the truth. All is of this
process since it started; a forked child begins at nothing. Knows nothing of Flask.
If this is wrong, a figure is; what is timed runs all the same.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import Any

from . import fork

MOST_NAMES = 500
LONGEST_NAME = 200
OTHER = "(other)"  # what came after the last name that there was room for
_PER_DOUBLING, _DOUBLINGS = 4, 31
# The upper ends of the histogram's steps, in seconds.
_STEPS = range(_PER_DOUBLING * _DOUBLINGS)
_ENDS: tuple[float, ...] = tuple(1e-6 * 2.0 ** (step / _PER_DOUBLING) for step in _STEPS)
_HALF_BACK: float = 2.0 ** (-0.5 / _PER_DOUBLING)  # from a step's end to its middle


class Timing:
    """What is known of one name; seconds and bytes.

    Attributes:
        steps: how many spans ended within each step of the histogram.
        grown, last_grown: by how much memory has grown in all spans that tracked it, and in the last.
        peak: the most memory in use while one of them ran.
    """

    __slots__ = ("count", "grown", "last", "last_grown", "most", "peak", "steps", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = self.most = self.last = 0.0
        self.steps = [0] * (len(_ENDS) + 1)
        self.grown: int | None = None
        self.last_grown: int | None = None
        self.peak: int | None = None

    def quantile(self, share: float) -> float:
        """Return the seconds that so much of the spans did not exceed, 0 to 1."""
        rank, seen = share * self.count, 0
        for step, count in enumerate(self.steps):
            seen += count
            if count and seen >= rank:
                return min(self.most, _middle(step))
        return self.most

    def shown(self, name: str) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "name": name, "count": self.count, "total": self.total, "mean": self.total / self.count,
            "max": self.most, "last": self.last, "p50": self.quantile(0.5), "p95": self.quantile(0.95),
            "grown_bytes": self.grown, "last_grown_bytes": self.last_grown, "peak_bytes": self.peak,
        }  # fmt: skip


def _middle(step: int) -> float:
    if step >= len(_ENDS):
        return float("inf")
    return _ENDS[step] * _HALF_BACK


class Timings:
    """The table of one process; safe in threads, at most 500 names."""

    def __init__(self) -> None:
        self._start_afresh()

    def _start_afresh(self) -> None:
        # Guards the rows. Reentrant: the collector may run a finalizer that is timed while it is held.
        self._lock = threading.RLock()
        self._rows: dict[str, Timing] = {}

    _after_fork = _start_afresh

    def add(self, name: str, seconds: float) -> None:
        """Note one span."""
        step = bisect_left(_ENDS, seconds)
        with self._lock:
            row = self._rows.get(name)
            if row is None:
                row = self._new(name)
            row.count += 1
            row.total += seconds
            row.last = seconds
            row.steps[step] += 1
            if seconds > row.most:
                row.most = seconds

    def add_memory(self, name: str, grown: int, peak: int) -> None:
        """Note the memory of a span that was added, or will be."""
        with self._lock:
            row = self._rows.get(name) or self._new(name)
            row.grown = (row.grown or 0) + grown
            row.last_grown = grown
            row.peak = max(row.peak or 0, peak)

    def _new(self, name: str) -> Timing:
        fork.protect(self)
        fit = str(name)[:LONGEST_NAME]
        if fit not in self._rows and len(self._rows) >= MOST_NAMES:
            fit = OTHER
        row = self._rows.get(fit)
        if row is None:
            row = self._rows[fit] = Timing()
        return row

    def snapshot(self, most: int = MOST_NAMES) -> list[dict[str, Any]]:
        """Return the rows as plain data, the one with the most seconds first.

        Args:
            most: how many.
        """
        with self._lock:
            rows = [(name, row) for name, row in self._rows.items() if row.count]
            rows.sort(key=lambda item: item[1].total, reverse=True)
            return [row.shown(name) for name, row in rows[:most]]

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._rows.clear()


table = Timings()


def timings(most: int = MOST_NAMES) -> list[dict[str, Any]]:
    """Return what the timers of this process have seen so far, the name with the most seconds first.

    Args:
        most: how many names.

    Returns:
        a dict per name: `name`, `count`; `total`, `mean`, `max`, `last`, `p50`, `p95` in seconds; `grown_bytes`,
        `last_grown_bytes`, `peak_bytes`, None where no memory was tracked.
    """
    return table.snapshot(most)
