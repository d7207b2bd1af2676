"""The figures of a run's report: what JSON, tables and pages say of a set of latencies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .histogram import Latencies

PERCENTILES = {"p50_ms": 50.0, "p75_ms": 75.0, "p90_ms": 90.0, "p95_ms": 95.0, "p99_ms": 99.0, "p999_ms": 99.9,
               "max_ms": 100.0}  # fmt: skip
SERVICE = {"service_p50_ms": 50.0, "service_p95_ms": 95.0, "service_p99_ms": 99.0}


def figures(response: Latencies, service: Latencies, errors: Mapping[str, int], seconds: float) -> dict[str, Any]:
    """Return the figures.

    Args:
        response: from the intended start of each request to the end of its answer.
        service: of the same requests, from the moment they were sent.
        errors: by kind.
        seconds: length of the counted time.
    """
    return {
        "answered": len(response),
        "failed": sum(errors.values()),
        "error_kinds": dict(sorted(errors.items())),
        "rps": len(response) / seconds,
        "mean_ms": milliseconds(response.mean),
        **{name: milliseconds(response.percentile(percent)) for name, percent in PERCENTILES.items()},
        **{name: milliseconds(service.percentile(percent)) for name, percent in SERVICE.items()},
        "curve": [[percent, milliseconds(value)] for percent, value in response.curve()],
    }


def milliseconds(seconds: float | None) -> float | None:
    """Return milliseconds with a microsecond's digits, as exact as the histogram."""
    return None if seconds is None else round(seconds * 1000, 3)
