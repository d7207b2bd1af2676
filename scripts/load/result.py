"""What a run measured, and how its percentiles are defined.

Percentiles are nearest-rank: the smallest sample with at least p percent of all samples at or below it
(definition 1 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50,
1996). Every reported latency is one that a user really had; nothing is interpolated.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import CommandError

# Below these, fewer than one sample is expected beyond the percentile: p95 of 19 values is their maximum.
MIN_SAMPLES_P95 = 20
MIN_SAMPLES_P99 = 100

# Above this share of a core, waiting inside the generator can no longer be told from waiting for the server.
SATURATED_CPU = 0.7


class LoadError(CommandError):
    """The generator could not run, as opposed to the server answering badly."""


def nearest_rank(ordered: Sequence[float], percent: int) -> float | None:
    """Return the nearest-rank percentile of values in ascending order, or None when there are none."""
    if not ordered:
        return None
    # Whole numbers: 0.07 * 100 is 7.000000000000001, and its ceiling is the wrong rank.
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]


@dataclass(frozen=True)
class Result:
    """One measured phase. Durations are seconds; the warm-up is in none of them.

    Attributes:
        users: Virtual users, each with one request in flight.
        seconds: How long new requests were started.
        elapsed: From the start to the last answer, and never less than `seconds`.
        latencies: One value per answered request, in order of arrival: from the moment the user wanted to
            send until the last byte, so that opening a connection and a retry are inside.
        errors: Requests that were not answered as expected, by kind: "http 500", "refused", "reset",
            "closed" (no byte came), "short body", "timeout", "protocol".
        connections: Connections opened to the server.
        reopened: Kept connections that the server closed between two requests.
        retried: Requests sent a second time since a kept connection closed before the first byte.
        received_bytes: Heads and bodies.
        warmup_answered: Requests answered in the warm-up.
        warmup_errors: Errors in the warm-up, by kind.
        generator_cpu: CPU seconds of the generator over wall seconds; 1.0 is a whole core.
        generator_lag: 95th percentile of how late the generator's own timer fired; a latency may be too
            long by that much.
    """

    users: int
    seconds: float
    elapsed: float
    latencies: array[float]
    errors: Mapping[str, int]
    connections: int
    reopened: int
    retried: int
    received_bytes: int
    warmup_answered: int
    warmup_errors: Mapping[str, int]
    generator_cpu: float
    generator_lag: float

    @property
    def answered(self) -> int:
        """Requests with an expected status and a whole body."""
        return len(self.latencies)

    @property
    def failed(self) -> int:
        """Requests that ended in an error of any kind."""
        return sum(self.errors.values())

    @property
    def requests(self) -> int:
        """All requests: answered and failed."""
        return self.answered + self.failed

    @property
    def rps(self) -> float:
        """Answered requests per second. A fast error is not throughput."""
        return self.answered / self.elapsed

    @property
    def mean(self) -> float | None:
        """Mean latency in seconds."""
        return sum(self.latencies) / self.answered if self.answered else None

    @cached_property
    def _ordered(self) -> list[float]:
        return sorted(self.latencies)

    def percentile(self, percent: int) -> float | None:
        """Return a nearest-rank percentile of the latencies in seconds; 100 is the maximum."""
        return nearest_rank(self._ordered, percent)

    @property
    def few_samples(self) -> tuple[str, ...]:
        """The percentiles that rest on too few answers to be trusted: none, p99, or p95 and p99."""
        if self.answered < MIN_SAMPLES_P95:
            return ("p95", "p99")
        return ("p99",) if self.answered < MIN_SAMPLES_P99 else ()

    @property
    def generator_is_bottleneck(self) -> bool:
        """Whether the generator used so much of its core that the figures may be its own."""
        return self.generator_cpu > SATURATED_CPU

    def as_dict(self) -> dict[str, Any]:
        """Return the figures of a report's run: latencies in milliseconds, no samples."""
        return {
            "users": self.users,
            "rps": self.rps,
            "mean_ms": _milliseconds(self.mean),
            "p50_ms": _milliseconds(self.percentile(50)),
            "p95_ms": _milliseconds(self.percentile(95)),
            "p99_ms": _milliseconds(self.percentile(99)),
            "max_ms": _milliseconds(self.percentile(100)),
            "requests": self.requests,
            "errors": self.failed,
            "error_kinds": dict(sorted(self.errors.items())),
            "few_samples": bool(self.few_samples),
            "generator_cpu": self.generator_cpu,
            "generator_lag_ms": _milliseconds(self.generator_lag),
        }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
