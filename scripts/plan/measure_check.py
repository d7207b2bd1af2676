"""Measure at numbers of users that were not used for the calibration, and compare."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..bench.noise import LOUD_STEAL, Listener
from ..capacity.advise import next_bottleneck
from ..capacity.calibrated import Calibrated
from ..capacity.outcome import Outcome
from ..capacity.predict import predict
from ..capacity.system import System
from ..errors import CommandError
from ..load import Measured, Scenario, run_load
from .measure_processes import Usage
from .measure_target import refuse_others

SHARES = (0.15, 0.30, 0.45, 0.60, 0.75)  # of the users with which the model sees it saturate
SECONDS, RAMP, WARMUP = 25.0, 5.0, 4.0
THROUGHPUT, P95 = 0.10, 0.25  # how far a prediction may be off


@dataclass(frozen=True)
class Point:
    """A prediction beside its measurement."""

    users: int
    predicted: Outcome
    measured: Measured

    @property
    def throughput_off(self) -> float:
        """Prediction over measurement, less 1."""
        return self.predicted.throughput / self.measured.rps - 1 if self.measured.rps else float("inf")

    @property
    def p95_off(self) -> float | None:
        """The same of p95; None when one of them has too few samples."""
        predicted, measured = self.predicted.percentile(95), self.measured.percentile(95)
        return predicted / measured - 1 if predicted is not None and measured else None

    @property
    def holds(self) -> bool:
        """Whether it is within both bars; a percentile that is unknown does not hold."""
        off = self.p95_off
        return abs(self.throughput_off) <= THROUGHPUT and off is not None and abs(off) <= P95


def _looked(usage: Usage) -> dict[str, float | None]:
    usage.look()
    return {}


def users_to_try(calibrated: Calibrated, system: System) -> list[int]:
    """Return five numbers of users up to three quarters of what it carries."""
    _, most = next_bottleneck(calibrated, system)
    return [max(round(most * share / 10) * 10, 1) for share in SHARES]


def points(
    calibrated: Calibrated, system: System, scenario: Scenario, site: str, usage: Usage,
    progress: Callable[[str], None],
) -> list[Point]:  # fmt: skip
    """Predict each first, then measure it.

    Args:
        usage: sees whether other processes disturb it.

    Raises:
        CommandError: they did, or the hypervisor took processor time away.
    """
    found = []
    for users in users_to_try(calibrated, system):
        predicted = predict(calibrated, system, users)
        progress(f"checking {users} users, {SECONDS:g} s")
        usage.begin()
        listener, began = Listener(), time.monotonic()
        measured = run_load(
            scenario, site, users=users, seconds=SECONDS, ramp=RAMP, warmup=WARMUP,
            look=lambda _: _looked(usage),
        )  # fmt: skip
        usage.look()
        others = usage.seconds["others"] / (time.monotonic() - began)
        refuse_others(others, system.cores, f"the check with {users} users")
        if (steal := listener.heard().steal) > LOUD_STEAL:
            raise CommandError(f"the host gave {steal:.1%} of the processor time away during the check; try again")
        for warning in measured.warnings():
            progress(f"warning: {warning}")
        found.append(Point(users, predicted, measured))
    return found
