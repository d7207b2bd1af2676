"""What `harden plan --measure` found, before anybody chose text or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..capacity.advise import Advice, next_bottleneck
from ..capacity.calibrated import Calibrated
from ..capacity.outcome import Outcome
from ..capacity.paper import Paper, ends_at
from ..capacity.system import System
from .measure_check import Point

PARTS = ("app", "after", "database", "bouncer", "beside", "wait")  # `after` is what follows the answer
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Answer:
    """Predictions for one system, what was measured there, and the cheapest one for a target.

    Attributes:
        system: what the predictions are for.
        seen: a prediction for each number of users.
        points: predictions beside measurements; none without a check.
        users, target: what the advice had to carry, and its p95 in seconds.
        start: the configuration that the advice began with.
    """

    calibrated: Calibrated
    system: System
    seen: Sequence[Outcome]
    points: Sequence[Point]
    users: int
    target: float
    start: System
    advice: Advice | None

    @property
    def is_good(self) -> bool:
        """Whether a configuration was found, and every check held."""
        return self.advice is not None and all(point.holds for point in self.points)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON; times are milliseconds, unknown percentiles null."""
        demands = self.calibrated.demands
        station, users = next_bottleneck(self.calibrated, self.system)
        return {
            "system": asdict(self.system),
            "request_ms": {part: demands.mean(part) * 1000 for part in PARTS},
            "predicted": [_outcome(each) for each in self.seen],
            "saturates": {"first": station, "users": round(users)},
            "checked": [_point(point) for point in self.points],
            "target": {"users": self.users, "p95_ms": self.target * 1000},
            "cheapest": _advice(self.advice) if self.advice else None,
        }


def paper_as_dict(calibrated: Calibrated, plans: Sequence[Paper], writes: float) -> dict[str, Any]:
    """Return plans on paper as JSON."""
    return {
        "writes": writes,
        "plans": [asdict(plan) for plan in plans],
        "one_postgresql_ends_at": round(ends_at(calibrated)),
        "one_primary_ends_at": round(ends_at(calibrated, writes)) if writes > 0 else None,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "users": outcome.users, "rps": outcome.throughput,
        **{f"p{percent}_ms": _milliseconds(outcome.percentile(percent)) for percent in PERCENTILES},
        "used": dict(outcome.utilisation),
    }  # fmt: skip


def _point(point: Point) -> dict[str, Any]:
    return {
        **_outcome(point.predicted),
        "measured_rps": point.rps,
        "measured_p95_ms": _milliseconds(point.percentile(95)),
        "runs_p95_ms": [_milliseconds(one) for one in point.percentiles(95)],
        "rps_off": point.throughput_off, "p95_off": point.p95_off, "holds": point.holds,
    }  # fmt: skip


def _advice(advice: Advice) -> dict[str, Any]:
    return {
        "system": asdict(advice.system), **_outcome(advice.reached),
        "next_bottleneck": {"first": advice.next_station, "users": round(advice.next_users)},
    }  # fmt: skip


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
