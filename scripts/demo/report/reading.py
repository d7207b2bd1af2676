"""What the numbers say and what they do not: sentences derived from the runs, the unwelcome ones included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .figures import counted, measured, people, percent
from .model import SIDES, Report, Run

# The share of a core from which a load generator may measure itself; scripts.load uses the same.
GENERATOR_LIMIT = 0.7

# What late timers add to a latency is not worth a sentence below this.
NOTICEABLE_LAG_MS = 1.0


@dataclass(frozen=True)
class Finding:
    """One line of reading: a subject and what was found."""

    subject: str
    text: str


def find(report: Report) -> list[Finding]:
    """Return what stands out, in a fixed order; a subject without data is left out."""
    candidates = [
        Finding("errors", "; ".join(_errors(side, report.side(side)) for side in SIDES if report.side(side))),
        Finding("queries per request", _queries(report)),
        Finding("connections opened", _totals(report, lambda run: run.connections_opened, sum)),
        Finding("peak server connections", _peaks(report)),
        Finding("slower", "; ".join(_slower(report))),
        Finding("few samples", _few_samples(report)),
        Finding("load generator", _generator(report)),
        Finding("one side only", ", ".join(run.name for pair in report.pairs for run in _alone(pair.runs))),
    ]
    return [finding for finding in candidates if finding.text]


def limits(report: Report) -> list[Finding]:
    """Return what this measurement cannot show, however good it looks."""
    cores = report.machine["cores"]
    shared = (
        f"The load generator, the application and PostgreSQL share {cores} {'core' if cores == 1 else 'cores'}"
    )
    seconds = report.settings.get("seconds")
    length = f"Each figure is one run of {seconds} s" if seconds else "Each figure is one run"
    return [
        Finding(
            "One machine.",
            f"{shared}: what one of them takes, the others lack. On separate hosts the absolute numbers will "
            "differ, and each query costs a network round trip more, which weighs on the side that sends more."
            f"{_lag(report)}",
        ),
        Finding(
            "A closed model.",
            "Each user waits for an answer before asking again, so a slow server is asked less often and its "
            "latency looks better than under visitors who keep arriving.",
        ),
        Finding(
            "Everything at once.",
            "The server, the pool and the queries changed together. The page shows what they are worth "
            "together, not what each is worth.",
        ),
        Finding(
            "One run each.",
            f"{length}, on a small database that fits into memory. Differences of a few percent mean nothing.",
        ),
    ]


def _errors(side: str, runs: Sequence[Run]) -> str:
    failed, total = sum(run.errors for run in runs), sum(run.requests for run in runs)
    if not failed:
        return f"{side} none in {counted(total)} requests"
    kinds: Counter[str] = Counter()
    for run in runs:
        kinds.update(run.error_kinds)
    named = ", ".join(f"{kind} x {counted(count)}" for kind, count in kinds.most_common())
    worst = max(runs, key=lambda run: run.error_share or 0)
    return (
        f"{side} {counted(failed)} of {counted(total)} requests ({named}), "
        f"worst {percent(worst.error_share)} in {worst.name}"
    )


def _queries(report: Report) -> str:
    parts = []
    for route in report.routes:
        change = _change(report, lambda run: run.queries_per_request, max, counted, route)
        if change:
            parts.append(f"{route} {change}")
    return ", ".join(parts)


def _totals(report: Report, value: Callable[[Run], float | None], over: Callable[[list[float]], float]) -> str:
    change = _change(report, value, over, counted)
    return f"{change} over all runs" if change else ""


def _peaks(report: Report) -> str:
    change = _change(report, lambda run: run.server_connections_peak, max, counted)
    limit = report.settings.get("max_connections")
    return f"{change} (max_connections {limit})" if change and limit else change


def _change(
    report: Report,
    value: Callable[[Run], float | None],
    over: Callable[[list[float]], float],
    write: Callable[[float | None], str],
    route: str | None = None,
) -> str:
    """Write `legacy -> hardened`, each taken over its runs; empty unless both sides have one."""
    sides = []
    for side in SIDES:
        found = [value(run) for run in report.side(side) if route in (None, run.route)]
        numbers = [number for number in found if number is not None]
        if not numbers:
            return ""
        sides.append(write(over(numbers)))
    return " -> ".join(sides)


def _slower(report: Report) -> list[str]:
    lines = []
    for pair in report.pairs:
        if not pair.legacy or not pair.hardened:
            continue
        place = f"{pair.route} at {people(pair.users)}"
        if pair.hardened.rps < pair.legacy.rps:
            lines.append(
                f"{place}: {measured(pair.legacy.rps)} -> {measured(pair.hardened.rps)} requests per second"
            )
        if pair.p95_gain is not None and pair.p95_gain < 1:
            lines.append(f"{place}: p95 {measured(pair.legacy.p95_ms)} -> {measured(pair.hardened.p95_ms)} ms")
    return lines


def _few_samples(report: Report) -> str:
    names = [
        f"{run.side} {run.name} ({counted(run.requests - run.errors)})" for run in report.runs if run.few_samples
    ]
    return f"fewer than 100 answers, so little is known of the p99 of {', '.join(names)}" if names else ""


def _generator(report: Report) -> str:
    busy = [run for run in report.runs if run.generator_cpu is not None and run.generator_cpu > GENERATOR_LIMIT]
    if not busy:
        return ""
    worst = max(busy, key=lambda run: run.generator_cpu or 0)
    return (
        f"used {percent(worst.generator_cpu)} of a core in {worst.side} {worst.name}: "
        "the server may be faster than was measured"
    )


def _lag(report: Report) -> str:
    worst = max((run.generator_lag_ms or 0 for run in report.runs), default=0)
    if worst < NOTICEABLE_LAG_MS:
        return ""
    return f" The generator itself woke up to {measured(worst)} ms late, so a latency may be too long by that."


def _alone(runs: Sequence[Run]) -> Sequence[Run]:
    return runs if len(runs) == 1 else ()
