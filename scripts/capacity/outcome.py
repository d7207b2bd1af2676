"""What a simulation saw: throughput, latencies with their uncertainty, and how busy each station was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

BATCHES = 20
# Student's t for 95 % and BATCHES - 1 degrees of freedom (tables; Abramowitz and Stegun, 26.10).
STUDENT = 2.093
NEEDED = {50: 20, 95: 200, 99: 1000}  # samples, so that ten are expected beyond the percentile


@dataclass(frozen=True)
class Outcome:
    """One configuration under one load.

    Attributes:
        users: people; 0 for arrivals at a rate.
        seconds: simulated time that was counted.
        throughput: answers per second.
        latencies: of answered requests, in the order of their ends.
        utilisation: of each station, 0 to 1.
        by_task: latencies by name of the task.
        waits: mean seconds that a request waits for a thread, a connection of the pool, one of PgBouncer's.
        left: requests without an answer at the end; in an open system that cannot keep up, they grow.
    """

    users: int
    seconds: float
    throughput: float
    latencies: Sequence[float]
    utilisation: Mapping[str, float]
    by_task: Mapping[str, Sequence[float]]
    waits: Mapping[str, float]
    left: int = 0

    @cached_property
    def _ordered(self) -> list[float]:
        return sorted(self.latencies)

    def percentile(self, percent: int) -> float | None:
        """Return a nearest-rank percentile in seconds; None for too few samples."""
        ordered = self._ordered
        if len(ordered) < NEEDED.get(percent, 20):
            return None
        return ordered[max(-(-len(ordered) * percent // 100), 1) - 1]

    @property
    def mean(self) -> float:
        """Mean latency in seconds."""
        return math.fsum(self.latencies) / max(len(self.latencies), 1)

    def interval(self) -> float:
        """Return half the width of the mean latency's 95 % confidence interval, by batch means.

        Latencies that follow each other are alike, so that the plain standard error is too small; means of long
        batches are not (Law, "Simulation Modeling and Analysis", 9.5.3).
        """
        size = len(self.latencies) // BATCHES
        if size < 2:
            return math.inf
        means = [math.fsum(self.latencies[n * size : (n + 1) * size]) / size for n in range(BATCHES)]
        centre = math.fsum(means) / BATCHES
        variance = math.fsum((value - centre) ** 2 for value in means) / (BATCHES - 1)
        return STUDENT * math.sqrt(variance / BATCHES)

    @property
    def busiest(self) -> str:
        """The station that is next to saturate."""
        return max(self.utilisation, key=lambda name: self.utilisation[name])
