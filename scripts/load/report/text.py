"""The table in the terminal: one run by its steps, or several runs beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...bench.output import machine_line
from ...demo.report.figures import measured, percent, ratio
from ..histogram import samples_needed
from .reading import Part, Run

COLUMNS = {"p50_ms": "p50", "p95_ms": "p95", "p99_ms": "p99", "p999_ms": "p99.9", "max_ms": "max"}
NEEDS = {"p50_ms": 50.0, "p75_ms": 75.0, "p90_ms": 90.0, "p95_ms": 95.0, "p99_ms": 99.0, "p999_ms": 99.9}
ROWS = {
    "rps": "requests/s", "p50_ms": "p50 ms", "p90_ms": "p90 ms", "p95_ms": "p95 ms", "p99_ms": "p99 ms",
    "p999_ms": "p99.9 ms", "max_ms": "max ms",
}  # fmt: skip
SEEN = {
    "machine_cpu": "machine CPU", "server_cpu": "server CPU, cores", "server_rss_mb": "server memory, MiB",
    "server_files": "server files", "pool_in_use": "pool in use", "pool_waiting": "waiting for the pool",
    "connections": "connections at the database",
}  # fmt: skip
NAME = 34


def render_text(runs: Sequence[Run]) -> str:
    """Return the text for one run, or for several side by side."""
    lines = list(_one(runs[0])) if len(runs) == 1 else list(_several(runs))
    return "\n".join(lines)


def _one(run: Run) -> Iterator[str]:
    yield f"{run.label}: {run.scenario} with {run.people}, think {run.think}, {run.seconds:g} s at {run.target}"
    yield ""
    heads = ["requests/s", *COLUMNS.values(), "failed"]
    yield f"{'latency in ms':{NAME}}" + "".join(f"{head:>11}" for head in heads)
    for name, part in {**run.steps, "all": run.totals}.items():
        cells = [measured(part["rps"]), *(_cell(part, column) for column in COLUMNS), _failed(part)]
        yield f"{name[: NAME - 1]:{NAME}}" + "".join(f"{cell:>11}" for cell in cells)
    yield ""
    yield from _notes(run)


def _cell(part: Part, column: str) -> str:
    value = part[column]
    return "few" if value is None and part.answered else measured(value)


def _failed(part: Part) -> str:
    return "0" if not part.failed else percent(part.error_share)


def _notes(run: Run) -> Iterator[str]:
    missing = [COLUMNS[name] for name in COLUMNS if name in NEEDS and run.totals[name] is None]
    if missing and run.totals.answered:
        needs = ", ".join(f"{COLUMNS[n]} {samples_needed(NEEDS[n])}" for n in COLUMNS if COLUMNS[n] in missing)
        yield f"few: {run.totals.answered} answers are too few for it (it needs: {needs}); run longer"
    for kind, count in sorted(run.totals.error_kinds.items(), key=lambda item: -item[1]):
        yield f"failed: {count} x {kind}"
    seen = [f"{name} {_peak(run, key)}" for key, name in SEEN.items() if _peak(run, key) != "-"]
    if seen:
        yield "most at once: " + ", ".join(seen)
    yield f"service time, from sending: p50 {measured(run.totals['service_p50_ms'])} ms, p95 " \
          f"{measured(run.totals['service_p95_ms'])} ms; generator: {run.generator_cpu:.0%} of a core"  # fmt: skip
    for warning in run.warnings:
        yield f"warning: {warning}"
    for text, reached, holds in run.budgets:
        yield f"{'holds ' if holds else 'BROKEN'} {text}: {reached}"
    yield machine_line(run.machine)


def _peak(run: Run, key: str) -> str:
    known = [value for second in run.timeline if (value := second.get(key)) is not None]
    if not known:
        return "-"
    return f"{max(known):.0%}" if key == "machine_cpu" else f"{max(known):.3g}"


def _several(runs: Sequence[Run]) -> Iterator[str]:
    width = max(16, *(min(len(run.label), 28) + 2 for run in runs))
    yield f"{'':{NAME}}" + "".join(f"{run.label[:28]:>{width}}" for run in runs)
    first = runs[0].totals
    for key, name in ROWS.items():
        cells = [_beside(run.totals, first, key, run is runs[0]) for run in runs]
        yield f"{name:{NAME}}" + "".join(f"{cell:>{width}}" for cell in cells)
    yield f"{'failed':{NAME}}" + "".join(f"{_failed(run.totals):>{width}}" for run in runs)
    for key, name in SEEN.items():
        if any(_peak(run, key) != "-" for run in runs):
            yield f"{'most ' + name:{NAME}.{NAME}}" + "".join(f"{_peak(run, key):>{width}}" for run in runs)
    yield ""
    for line in differences(runs):
        yield f"warning: {line}"
    for run in runs:
        for warning in run.warnings:
            yield f"warning: {run.label}: {warning}"


def _beside(part: Part, first: Part, key: str, is_first: bool) -> str:
    value, base = part[key], first[key]
    if is_first or value is None or not base:
        return _cell(part, key)
    return f"{measured(value)} ({ratio(value / base)})"


def differences(runs: Sequence[Run]) -> list[str]:
    """Return why runs are not comparable, a line each."""
    asked: dict[str, set[object]] = {
        "machines": {tuple(sorted((name, str(value)) for name, value in run.machine.items())) for run in runs},
        "scenarios": {(run.scenario, run.think) for run in runs},
        "models": {run.model for run in runs},
        "lengths": {run.seconds for run in runs},
    }  # fmt: skip
    found = [name for name, values in asked.items() if len(values) > 1]
    return [f"the runs have different {' and '.join(found)}: compare with care"] if found else []
