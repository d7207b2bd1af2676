"""`timeit` and `timer`: how long a function or a block takes, noted in the table of `timings()`.

    @timeit
    def profile(customer): ...

    with timer("render") as span:
        ...
    span.seconds

Both are the same; people know both names. Cheap enough for production: two to four microseconds.
Knows nothing of Flask. If this is wrong, a figure is; what is timed runs all the same.
"""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

from .spans import Around
from .timings import table

log = logging.getLogger(__name__)


class TimeSpan:
    """One run of what is timed.

    Attributes:
        name: what it is noted under.
    """

    __slots__ = ("_before", "_log_above", "_since", "name")

    def __init__(self, name: str, log_above: float | None) -> None:
        self.name, self._log_above = name, log_above
        self._before = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """How long it took; while it runs, how long so far."""
        since = self._since
        return self._before if since is None else self._before + (perf_counter() - since)

    def begin(self) -> None:
        """Start, or go on after a pause."""
        self._since = perf_counter()

    def pause(self) -> None:
        """Stop counting until `begin`."""
        self._before, self._since = self.seconds, None

    def end(self) -> None:
        """Note it in the table, and in the log where that is wanted."""
        since = self._since
        if since is not None:
            self._before += perf_counter() - since
            self._since = None
        seconds = self._before
        table.add(self.name, seconds)
        if self._log_above is not None and seconds >= self._log_above:
            log.warning("%s took %.3f s", self.name, seconds)
        elif log.isEnabledFor(logging.DEBUG):
            log.debug("%s took %.6f s", self.name, seconds)


class Timer(Around):
    """Times functions and blocks: a decorator and a context manager, with and without parentheses.

    Args:
        name: what the time is noted under; None takes the function's name, or the line of the `with`.
        log_above: seconds; what takes at least as long is logged as a warning, all else at DEBUG.

    Attributes:
        seconds: how long the last `with` block took; 0 before the first.
    """

    def __init__(self, name: str | None = None, log_above: float | None = None) -> None:
        super().__init__(name)
        self.log_above = log_above
        self.seconds = 0.0

    def new_span(self, name: str) -> TimeSpan:
        """Return a span that has not begun."""
        return TimeSpan(name, self.log_above)

    def ended(self, span: Any) -> None:
        """Keep how long it took, for `timer.seconds`."""
        self.seconds = span.seconds


timeit = Timer()
timer = Timer()
