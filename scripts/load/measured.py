"""What a run of a scenario measured: latencies by step, errors by kind, a line for each second.

Latencies count from the intended start of a request to the end of its answer; `service` has the same requests
from the moment they were sent. A percentile that has too few samples is None, never a guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .figures import figures, milliseconds
from .histogram import Latencies
from .result import SATURATED_CPU

LATE = 0.01  # share of arrivals without an idle person from which a run says so
SLOW_TIMER = 0.02  # seconds; above it the generator's own waiting shows in the figures


@dataclass(frozen=True)
class Figures:
    """The latencies and errors of one step, or of all.

    Attributes:
        seconds: length of the counted time.
    """

    response: Latencies
    service: Latencies
    errors: Mapping[str, int]
    seconds: float

    @property
    def answered(self) -> int:
        """Requests with a right answer."""
        return len(self.response)

    @property
    def failed(self) -> int:
        """Requests without one."""
        return sum(self.errors.values())

    @property
    def error_share(self) -> float:
        """Failed requests of all, 0 to 1; 0 when there were none."""
        return self.failed / max(self.answered + self.failed, 1)

    @property
    def rps(self) -> float:
        """Right answers per second."""
        return self.answered / self.seconds

    def percentile(self, percent: float) -> float | None:
        """Return a percentile of the latencies in seconds; None for too few samples."""
        return self.response.percentile(percent)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures of a report, in milliseconds."""
        return figures(self.response, self.service, self.errors, self.seconds)


@dataclass(frozen=True)
class Second:
    """One second of a run: `t` seconds after its begin, the ramp and the warm-up included."""

    t: float
    users: int
    response: Latencies
    failed: int
    seen: Mapping[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return a line of a report's timeline."""
        shown = {f"p{name}_ms": milliseconds(self.response.percentile(name)) for name in (50, 95, 99)}
        return {
            "t": self.t, "users": self.users, "rps": float(len(self.response)), "failed": self.failed, **shown,
            "max_ms": milliseconds(self.response.percentile(100)), **self.seen,
        }  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """A whole run.

    Attributes:
        users: persons; of the open model the most that serve arrivals at once.
        rate: arrivals per second of the open model; None for the closed one.
        steps: by name, in the scenario's order.
        timeline: a line for each second, from the ramp's begin.
        generator_cpu: of the busiest engine: processor seconds over wall seconds; 1.0 is a whole core.
        generator_lag: 95th percentile of how late a timer fired in it, in seconds.
        late_starts: share of arrivals that found nobody idle (their wait is in the latencies).
        unfinished: requests that had no answer when the run was given up.
    """

    users: int
    rate: float | None
    seconds: float
    steps: Mapping[str, Figures]
    timeline: Sequence[Second]
    generator_cpu: float
    generator_lag: float
    late_starts: float
    unfinished: int

    @cached_property
    def totals(self) -> Figures:
        """The figures of all steps together."""
        response, service = Latencies(), Latencies()
        errors: Counter[str] = Counter()
        for step in self.steps.values():
            response.add(step.response)
            service.add(step.service)
            errors.update(step.errors)
        if self.unfinished:
            errors["never answered"] += self.unfinished
        return Figures(response, service, dict(errors), self.seconds)

    @property
    def answered(self) -> int:
        """Requests with a right answer."""
        return self.totals.answered

    @property
    def failed(self) -> int:
        """Requests without one."""
        return self.totals.failed

    @property
    def errors(self) -> Mapping[str, int]:
        """Errors by kind."""
        return self.totals.errors

    @property
    def rps(self) -> float:
        """Right answers per second."""
        return self.totals.rps

    def percentile(self, percent: float) -> float | None:
        """Return a percentile of all latencies in seconds; None for too few samples."""
        return self.totals.percentile(percent)

    @property
    def generator_is_bottleneck(self) -> bool:
        """Whether the figures may be the generator's own."""
        return self.generator_cpu > SATURATED_CPU

    def warnings(self) -> list[str]:
        """Return what a reader must know before the figures."""
        said = []
        if self.generator_is_bottleneck:
            said.append(
                f"the generator used {self.generator_cpu:.0%} of a core, so latencies may be its own; "
                "use --processes, fewer users, or another machine for it"
            )
        elif self.generator_lag > SLOW_TIMER:
            said.append(
                f"the generator woke up {self.generator_lag * 1000:.0f} ms late (p95): this machine has no "
                "processor to spare for it, and latencies have that in them"
            )
        if self.late_starts > LATE:
            said.append(
                f"{self.late_starts:.0%} of the arrivals found nobody of {self.users} idle; their wait is in the "
                "latencies: the server is slower than the rate, or --users too few"
            )
        if not self.answered:
            said.append("nothing was answered: there are no latencies")
        return said

    def as_dict(self) -> dict[str, Any]:
        """Return the measured part of a report."""
        return {
            "model": "closed" if self.rate is None else "open",
            "users": self.users,
            "rate": self.rate,
            "seconds": self.seconds,
            "totals": self.totals.as_dict(),
            "steps": {name: step.as_dict() for name, step in self.steps.items()},
            "timeline": [second.as_dict() for second in self.timeline],
            "generator": {
                "cpu": self.generator_cpu,
                "lag_ms": milliseconds(self.generator_lag),
                "is_bottleneck": self.generator_is_bottleneck,
            },
            "warnings": self.warnings(),
        }
