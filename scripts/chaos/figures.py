"""What the events of all runs add up to: in all, and by fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .people import ACKED, FAILED, READ, REFUSED, REJECTED, STALE, UNKNOWN, WRONG, Event
from .running import GOOD, Run, Span

SLOW, VERY_SLOW = 1.0, 5.0  # seconds


@dataclass(frozen=True)
class OfFault:
    """What people had of one kind of fault, over all runs in which it was alone.

    Attributes:
        times: how often.
        failed, unknown: requests answered 5xx, and never answered.
        longest: the slowest answer, in seconds.
        gap: the longest time without any right answer.
        recovery: from the healing to the last wrong end, at the most.
    """

    fault: str
    times: int
    requests: int
    failed: int
    unknown: int
    longest: float
    gap: float
    recovery: float


def totals(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the counts over all runs."""
    events = [event for run in runs for event in run.events]
    kinds = Counter(event.kind for event in events)
    return {
        "runs": len(runs), "faults": sum(len(run.spans) for run in runs), "requests": len(events),
        "acknowledged": kinds[ACKED], "rejected": kinds[REJECTED], "read": kinds[READ],
        "refused": kinds[REFUSED], "failed": kinds[FAILED],
        "unknown": kinds[UNKNOWN], "stale_me": kinds[STALE], "wrong": kinds[WRONG],
        "late_1s": sum(event.seconds > SLOW for event in events),
        "late_5s": sum(event.seconds > VERY_SLOW for event in events),
        "what": dict(Counter(event.what for event in events if event.kind in (FAILED, UNKNOWN)).most_common(10)),
        "unknown_in_database": runs[-1].unknown_true if runs else 0,
        "failed_in_database": runs[-1].failed_true if runs else 0,
        "slowest_back": max((run.back for run in runs), default=0.0),
        "broken_runs": sum(bool(run.broken) for run in runs),
    }  # fmt: skip


def by_fault(runs: Sequence[Run]) -> list[OfFault]:
    """Return what each fault did where no other was near it."""
    found: dict[str, list[tuple[Span, float, list[Event]]]] = {}
    for run in runs:
        for since, span, until in _alone(run):
            near = [event for event in run.events
                    if event.ended >= span.began and since <= event.begun < until]  # fmt: skip
            found.setdefault(span.fault, []).append((span, until, near))
    return [_of(fault, found[fault]) for fault in sorted(found)]


def _alone(run: Run) -> list[tuple[float, Span, float]]:
    """Return the spans that overlap no other, each between the one before's healing and the next one's begin."""
    alone = []
    for number, span in enumerate(run.spans):
        before = max((each.healed for each in run.spans[:number]), default=0.0)
        until = run.spans[number + 1].began if number + 1 < len(run.spans) else run.ended
        if before <= span.began and span.healed <= until:
            alone.append((before, span, until))
    return alone


def _of(fault: str, seen: Sequence[tuple[Span, float, list[Event]]]) -> OfFault:
    events = [event for _, _, near in seen for event in near]
    kinds = Counter(event.kind for event in events)
    recovery = [
        max((event.ended for event in near if event.kind not in GOOD), default=span.healed) - span.healed
        for span, _, near in seen
    ]
    return OfFault(
        fault, len(seen), len(events), kinds[FAILED], kinds[UNKNOWN],
        max((event.seconds for event in events), default=0.0),
        max(_gap(span, near, until) for span, until, near in seen),
        max(0.0, *recovery),
    )  # fmt: skip


def _gap(span: Span, near: Sequence[Event], until: float) -> float:
    good = sorted(event.ended for event in near if event.kind in GOOD and event.ended >= span.began)
    return max(after - before for before, after in pairwise([span.began, *good, until]))
