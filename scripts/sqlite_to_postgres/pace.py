"""How far a run is, and how long it still takes: rows read, over all passes, at the pace so far.

Each row is copied, hashed and checked, so a table counts three times. If this is wrong, the bar lies; the data
does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..progress import Progress

SOON = 3.0  # seconds of work before a guess is worth saying


class Pace:
    """The rows of a run.

    Args:
        progress: where the bar is shown.
        rows: of all tables.
        passes: how often each row is read.
        clock: seconds; for tests.
    """

    def __init__(
        self, progress: Progress, rows: int, passes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._progress, self._total, self._clock = progress, max(1, rows * passes), clock
        self._started = clock()
        self._done = self._skipped = 0

    def step(self, text: str) -> Callable[[int], None]:
        """Return what is told of the rows that a step has read so far, "copy users"."""

        def say(rows: int) -> None:
            done = self._done + rows
            self._progress.bar(done, self._total, f"{text} ({rows:,} rows){self.left(done)}")

        return say

    def passed(self, rows: int) -> None:
        """Note that a step over so many rows is through."""
        self._done += rows

    def skipped(self, rows: int) -> None:
        """Note rows that need not be read, for an earlier run has; they say nothing of the pace."""
        self._done += rows
        self._skipped += rows

    def left(self, done: int) -> str:
        """Return ", about 2 min left"; "" as long as that would be a guess."""
        took, read = self._clock() - self._started, done - self._skipped
        if took < SOON or read <= 0:
            return ""
        seconds = took / read * max(0, self._total - done)
        return f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"
