"""The measured runs, checked once, and set side by side.

A report that divides by a missing number or compares runs that do not belong together would still look
convincing, so anything out of place stops here with its name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .figures import long_date, people

SIDES = ("legacy", "hardened")


class ReportError(ValueError):
    """The document lacks something, or contradicts itself."""


@dataclass(frozen=True)
class Run:
    """One side of one route under one number of users; None where there was nothing to measure.

    Attributes:
        rps: Answered requests per second.
        requests: Answered and failed ones.
        errors: Failed ones.
        connections_opened: Connections opened to PostgreSQL during the run.
        server_connections_peak: Most connections that PostgreSQL had at one moment.
        few_samples: Whether there were too few answers for a trustworthy p95 or p99.
        generator_cpu: Share of a core that the load generator used.
        generator_lag_ms: How late its timers fired, at the 95th percentile.
    """

    side: str
    route: str
    users: int
    rps: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    requests: int
    errors: int
    error_kinds: Mapping[str, int]
    queries_per_request: float | None
    connections_opened: int | None
    server_connections_peak: int | None
    few_samples: bool
    generator_cpu: float | None = None
    generator_lag_ms: float | None = None

    @property
    def error_share(self) -> float | None:
        """Failed requests as a share of 1."""
        return self.errors / self.requests if self.requests else None

    @property
    def name(self) -> str:
        """Route and users in words."""
        return f"{self.route} at {people(self.users)}"


@dataclass(frozen=True)
class Pair:
    """Both sides of one route under one number of users."""

    route: str
    users: int
    legacy: Run | None
    hardened: Run | None

    @property
    def runs(self) -> tuple[Run, ...]:
        """The sides that were measured, legacy first."""
        return tuple(run for run in (self.legacy, self.hardened) if run)

    @property
    def throughput_gain(self) -> float | None:
        """Hardened over legacy requests per second; above 1 is better."""
        if not self.legacy or not self.hardened:
            return None
        return _divide(self.hardened.rps, self.legacy.rps)

    @property
    def p95_gain(self) -> float | None:
        """Legacy over hardened p95; above 1 is better."""
        if not self.legacy or not self.hardened:
            return None
        return _divide(self.legacy.p95_ms, self.hardened.p95_ms)


@dataclass(frozen=True)
class Report:
    """A checked document.

    Attributes:
        machine: As `describe_machine` gives it.
        date: ISO date of the measurement.
        command: What to type to measure again.
        settings: Of the demo: seconds, workers, pool_max, ...
        pairs: Routes in their first order, users ascending.
        document: What was parsed.
    """

    machine: Mapping[str, Any]
    date: str
    command: str
    settings: Mapping[str, Any]
    pairs: tuple[Pair, ...]
    document: Mapping[str, Any]

    @property
    def routes(self) -> tuple[str, ...]:
        """Routes in their first order."""
        return tuple(dict.fromkeys(pair.route for pair in self.pairs))

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, in the order of the pairs."""
        return tuple(run for pair in self.pairs for run in pair.runs)

    @property
    def lead(self) -> Pair | None:
        """The first pair that has both sides."""
        return next((pair for pair in self.pairs if len(pair.runs) == 2), None)

    def side(self, name: str) -> tuple[Run, ...]:
        """Return the runs of one side."""
        return tuple(run for run in self.runs if run.side == name)


def parse_report(document: Mapping[str, Any]) -> Report:
    """Check a document and pair its runs.

    Raises:
        ReportError: A name is missing, a side unknown, a run given twice, or there is none.
    """
    for name in ("machine", "date", "command", "settings", "runs"):
        if name not in document:
            raise ReportError(f"the report lacks {name!r}; it needs machine, date, command, settings and runs")
    try:
        long_date(document["date"])
    except (TypeError, ValueError):
        raise ReportError(f"date {document['date']!r} is not a date such as 2026-11-22") from None
    runs = [_parse_run(number, run) for number, run in enumerate(document["runs"], 1)]
    if not runs:
        raise ReportError("the report has no runs; measure at least one")
    return Report(
        machine=document["machine"],
        date=document["date"],
        command=document["command"],
        settings=document["settings"],
        pairs=_pair(runs),
        document=document,
    )


def render_json(report: Report) -> str:
    """Return the document with a `gains` list: per route and users the two factors of the table."""
    gains = [
        {"route": pair.route, "users": pair.users, "throughput": pair.throughput_gain, "p95": pair.p95_gain}
        for pair in report.pairs
    ]
    return json.dumps({**report.document, "gains": gains}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _parse_run(number: int, run: Mapping[str, Any]) -> Run:
    # A run may say more than the report shows; it may not say less.
    names = [field.name for field in fields(Run)]
    missing = [name for name in names if name not in run and not name.startswith("generator_")]
    if missing:
        raise ReportError(f"run {number} lacks {', '.join(missing)}")
    if run["side"] not in SIDES:
        raise ReportError(f"run {number} has side {run['side']!r}; it is legacy or hardened")
    return Run(**{name: run[name] for name in names if name in run})


def _pair(runs: Sequence[Run]) -> tuple[Pair, ...]:
    found: dict[tuple[str, int, str], Run] = {}
    for run in runs:
        key = (run.route, run.users, run.side)
        if key in found:
            raise ReportError(f"two {run.side} runs of {run.name}; a report compares one with one")
        found[key] = run
    return tuple(
        Pair(route, users, found.get((route, users, "legacy")), found.get((route, users, "hardened")))
        for route in dict.fromkeys(run.route for run in runs)
        for users in sorted({run.users for run in runs if run.route == route})
    )


def _divide(above: float | None, below: float | None) -> float | None:
    return above / below if above and below else None
