"""What the engine counts: latencies by step for the result, and by second for whoever watches."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..histogram import Latencies

GRAIN = 0.002  # seconds; a timer of the event loop fires up to that late, which is no latency of the server


class StepTally:
    """One step's latencies and errors."""

    def __init__(self) -> None:
        self.response = Latencies()
        self.service = Latencies()
        self.errors: Counter[str] = Counter()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "response": self.response.encode().decode(),
            "service": self.service.encode().decode(),
            "errors": dict(self.errors),
        }


class Counting:
    """Counts answers.

    Args:
        begin: a request counts for the result when it was meant to start then or later; all count for the
            seconds.
        end: nobody means to start one then or later.
    """

    def __init__(self, begin: float, end: float) -> None:
        self.begin, self.end = begin, end
        self.steps: dict[str, StepTally] = {}
        self.late_starts = 0  # arrivals of an open model that found nobody idle
        self.starts = 0
        self._second = Latencies()
        self._failed = 0

    def answered(self, step: str, intended: float, sent: float, done: float) -> None:
        """Count a right answer."""
        self._second.record(done - intended)
        tally = self._tally(step, intended)
        if tally is not None:
            tally.response.record(done - intended)
            tally.service.record(done - sent)

    def failed(self, step: str, intended: float, kind: str) -> None:
        """Count a request without a right answer."""
        self._failed += 1
        tally = self._tally(step, intended)
        if tally is not None:
            tally.errors[kind] += 1

    def started(self, intended: float, late: bool) -> None:
        """Count an arrival of the open model."""
        if intended >= self.begin:
            self.starts += 1
            self.late_starts += late

    def _tally(self, step: str, intended: float) -> StepTally | None:
        if intended < self.begin:
            return None
        return self.steps.setdefault(step, StepTally())

    def take_second(self) -> dict[str, Any]:
        """Return what was counted since the last call, and begin anew."""
        taken = {"response": self._second.encode().decode(), "failed": self._failed}
        self._second.clear()
        self._failed = 0
        return taken


def started_at(intended: float, now: float) -> float:
    """Return from when a latency counts: the intended moment, unless only the timer's grain lies in between."""
    return now if now - intended <= GRAIN else intended
