"""Budgets of a run: what it must not exceed, judged, with too few samples as a failure that says so."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .histogram import samples_needed
from .measured import Measured
from .scenario_file import parse_seconds

PERCENTS = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


@dataclass(frozen=True)
class Verdict:
    """One budget: what was asked, what was reached, whether that is enough."""

    text: str
    reached: str
    holds: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def seconds_of(text: str) -> float:
    """Parse `300ms` or `1.5s` for argparse."""
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def share_of(text: str) -> float:
    """Parse `1%` into 0.01 for argparse."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%", text.strip())
    if not found or float(found[1]) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write 1% or 0%")
    return float(found[1]) / 100


def judge(
    measured: Measured, latencies: Mapping[str, float], errors: float | None, least_rps: float | None
) -> list[Verdict]:
    """Return a verdict for each budget that was given.

    Args:
        latencies: seconds by name of PERCENTS.
        errors: largest share of failed requests, 0 to 1.
        least_rps: right answers per second.
    """
    found = [_latency(measured, name, seconds) for name, seconds in latencies.items()]
    if errors is not None:
        totals = measured.totals
        asked = totals.answered + totals.failed
        share = totals.error_share if asked else 1.0
        reached = f"{share:.2%} ({totals.failed} of {asked})" if asked else "no request was made"
        found.append(Verdict(f"errors at most {errors * 100:g}%", reached, share <= errors))
    if least_rps is not None:
        text = f"at least {least_rps:g} requests/s"
        found.append(Verdict(text, f"{measured.rps:.1f}", measured.rps >= least_rps))
    return found


def _latency(measured: Measured, name: str, seconds: float) -> Verdict:
    percent = PERCENTS[name]
    reached = measured.percentile(percent)
    label = "p99.9" if name == "p999" else name
    text = f"{label} at most {seconds * 1000:g} ms"
    if reached is None:
        needed = samples_needed(percent)
        return Verdict(text, f"unknown: {measured.answered} answers, {label} needs {needed}; run longer", False)
    return Verdict(text, f"{reached * 1000:.1f} ms", reached <= seconds)
