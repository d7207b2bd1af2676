"""Measure at numbers of users that were not used for the calibration, and compare."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
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

SHARES = (0.10, 0.20, 0.30, 0.45, 0.60)  # of the users with which the model sees it saturate
ROUNDS = 3  # of all of them: p95 of one and the same load varies by a fifth and more from run to run
SECONDS, RAMP, WARMUP = 20.0, 5.0, 4.0
THROUGHPUT, P95 = 0.10, 0.25  # how far a prediction may be off


@dataclass(frozen=True)
class Point:
    """A prediction beside its measurements.

    Attributes:
        runs: of the same load, minutes apart.
    """

    users: int
    predicted: Outcome
    runs: Sequence[Measured]

    @property
    def rps(self) -> float:
        """The median of the runs' answers per second."""
        return statistics.median(run.rps for run in self.runs)

    def percentiles(self, percent: float) -> list[float]:
        """Return the runs' percentiles, ascending; none where one has too few samples."""
        found = [run.percentile(percent) for run in self.runs]
        known = [value for value in found if value is not None]
        return sorted(known) if len(known) == len(found) else []

    def percentile(self, percent: float) -> float | None:
        """Return the median of the runs' percentiles."""
        return statistics.median(known) if (known := self.percentiles(percent)) else None

    @property
    def throughput_off(self) -> float:
        """Prediction over measurement, less 1."""
        return self.predicted.throughput / self.rps - 1 if self.rps else float("inf")

    @property
    def p95_off(self) -> float | None:
        """The same of p95; None when one of them has too few samples."""
        predicted, measured = self.predicted.percentile(95), self.percentile(95)
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
    """Return five numbers of users up to where a recommendation ends."""
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
    predicted = {users: predict(calibrated, system, users) for users in users_to_try(calibrated, system)}
    runs: dict[int, list[Measured]] = {users: [] for users in predicted}
    for number in range(ROUNDS):
        for users in predicted:
            progress(f"checking {users} users, {SECONDS:g} s, round {number + 1} of {ROUNDS}")
            runs[users].append(_measured(users, system, scenario, site, usage))
            for warning in runs[users][-1].warnings():
                progress(f"warning: {warning}")
    return [Point(users, outcome, runs[users]) for users, outcome in predicted.items()]


def _measured(users: int, system: System, scenario: Scenario, site: str, usage: Usage) -> Measured:
    usage.begin()
    listener, began = Listener(), time.monotonic()
    found = run_load(
        scenario, site, users=users, seconds=SECONDS, ramp=RAMP, warmup=WARMUP, look=lambda _: _looked(usage)
    )
    usage.look()
    others = usage.seconds["others"] / (time.monotonic() - began)
    refuse_others(others, system.cores, f"the check with {users} users")
    if (steal := listener.heard().steal) > LOUD_STEAL:
        raise CommandError(f"the host gave {steal:.1%} of the processor time away during the check; try again")
    return found
