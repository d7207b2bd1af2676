"""The plots of the page: throughput, latency, errors, and what PostgreSQL had to bear.

Panels that belong together share one scale: a bar that is twice as long means twice as much, wherever it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .figures import counted, duration, measured, people, percent, ratio, typeset
from .model import SIDES, Pair, Report, Run
from .shapes import PANEL_WIDTH, Bar, CountScale, Dot, Line, LinearScale, LogScale, Panel, Words

Scale = LogScale | CountScale | LinearScale
Names = Callable[[float], str]
Value = Callable[[Run], float | None]

# Bars start right of the longer side's name and leave room for a value of seven characters.
_BARS_LEFT = 70.0
_BARS_WIDTH = PANEL_WIDTH - _BARS_LEFT - 56.0
_MARGIN = 8.0


def throughput(report: Report) -> list[Panel]:
    """Bars of requests per second, a panel per route."""
    return _bars(report, "throughput", _Measure("requests per second", lambda run: run.rps, measured, _gain))


def errors(report: Report) -> list[Panel]:
    """Bars of the failed share; no panel at all when nothing failed."""
    if not any(run.errors for run in report.runs):
        return []
    measure = _Measure("failed requests", lambda run: run.error_share, percent, lambda pair: "")
    return _bars(report, "errors", measure)


def latency(report: Report) -> list[Panel]:
    """Ranges from p50 to the maximum on a logarithmic axis, a panel per route."""
    values = [value for run in report.runs for value in _percentiles(run) if value]
    scale = LogScale(values, _MARGIN, PANEL_WIDTH - _MARGIN)
    return [_latency_panel(report, number, route, scale) for number, route in enumerate(report.routes, 1)]


def database(report: Report) -> list[Panel]:
    """Three panels of counts: queries per request, connections opened, and their peak."""
    return [
        _logarithmic(report, "queries", "Queries per request", lambda run: run.queries_per_request),
        _logarithmic(report, "opened", "Connections opened", lambda run: run.connections_opened),
        _peak(report),
    ]


def _logarithmic(report: Report, key: str, title: str, value: Value) -> Panel:
    scale = CountScale([value(run) or 0 for run in report.runs], _MARGIN, PANEL_WIDTH - _MARGIN)
    return _counts(report, key, title, value, scale, _short)


def _peak(report: Report) -> Panel:
    limit = report.settings.get("max_connections") or 0
    peaks = [run.server_connections_peak or 0 for run in report.runs]
    scale = LinearScale([*peaks, limit], _MARGIN, PANEL_WIDTH - _MARGIN)

    def name(tick: float) -> str:
        return f"max_connections {counted(tick)}" if tick == limit > 0 else counted(tick)

    return _counts(
        report, "peak", "Most connections at once", lambda run: run.server_connections_peak, scale, name
    )


@dataclass(frozen=True)
class _Measure:
    """What bars stand for: a sentence's beginning, the value, how it is written, and a note per pair."""

    what: str
    value: Value
    write: Callable[[float | None], str]
    note: Callable[[Pair], str]


def _bars(report: Report, key: str, measure: _Measure) -> list[Panel]:
    longest = max(measure.value(run) or 0 for run in report.runs) or 1.0
    panels = []
    for number, route in enumerate(report.routes, 1):
        pairs = _pairs(report, route)
        said = "; ".join(_say(pair, measure.value, measure.write) for pair in pairs)
        panel = Panel(f"{key}-{number}", route, f"{measure.what}: {said}.")
        for pair in pairs:
            _bar_group(panel, pair, measure, longest)
        panels.append(panel)
    return panels


def _bar_group(panel: Panel, pair: Pair, measure: _Measure, longest: float) -> None:
    panel.words.append(Words("group", 0, panel.height + 14, people(pair.users)))
    panel.words.append(Words("note", PANEL_WIDTH, panel.height + 14, measure.note(pair), "end"))
    panel.height += 24
    for run in pair.runs:
        value = measure.value(run)
        width = round(_BARS_WIDTH * (value or 0) / longest, 1)
        panel.words.append(Words("label", 0, panel.height + 12, run.side))
        panel.bars.append(Bar(run.side, _BARS_LEFT, panel.height, width, 16))
        panel.words.append(Words("value", _BARS_LEFT + width + 6, panel.height + 12, measure.write(value)))
        panel.height += 22
    panel.height += 14


def _latency_panel(report: Report, number: int, route: str, scale: LogScale) -> Panel:
    panel = Panel(f"latency-{number}", route, "")
    said = []
    rows = []
    for pair in _pairs(report, route):
        panel.words.append(Words("group", 0, panel.height + 14, people(pair.users)))
        panel.height += 24
        for run in pair.runs:
            rows.append(panel.height + 25)
            _latency_row(panel, run, scale, rows[-1])
            panel.height += 43
        panel.height += 10
        said += [_say_latency(run) for run in pair.runs]
    _axis(panel, scale, rows, duration)
    panel.description = f"latency on a logarithmic axis: {'; '.join(said)}."
    return panel


def _latency_row(panel: Panel, run: Run, scale: LogScale, y: float) -> None:
    p50, p95, p99, longest = _percentiles(run)
    panel.words.append(Words("label", 0, panel.height + 12, run.side))
    values = " / ".join(measured(value) for value in (p50, p95, p99)) + " ms" if p50 else "no answers"
    panel.words.append(Words("value", PANEL_WIDTH, panel.height + 12, values, "end"))
    if p50 is None or p95 is None or p99 is None or longest is None:
        return
    panel.lines.append(Line("thin", scale.x(p99), y, scale.x(longest), y, run.side))
    panel.lines.append(Line("range", scale.x(p50), y, scale.x(p99), y, run.side))
    panel.dots.append(Dot(run.side, "tick", scale.x(longest), y))
    panel.dots.append(Dot(run.side, "ring", scale.x(p99), y))
    panel.dots.append(Dot(run.side, "diamond", scale.x(p95), y))
    panel.dots.append(Dot(run.side, "disc", scale.x(p50), y))


def _counts(report: Report, key: str, title: str, value: Value, scale: Scale, names: Names) -> Panel:
    panel = Panel(key, title, "")
    rows = []
    for pair in report.pairs:
        found = [(run.side, value(run)) for run in pair.runs]
        change = typeset(" -> ".join(counted(number) for _, number in found))
        panel.words.append(Words("label", 0, panel.height + 14, f"{pair.route}, {people(pair.users)}"))
        panel.words.append(Words("value", PANEL_WIDTH, panel.height + 14, change, "end"))
        y = panel.height + 27
        ends = [(side, scale.x(number)) for side, number in found if number is not None]
        if len(ends) == len(SIDES):
            panel.lines.append(Line("thin", ends[0][1], y, ends[1][1], y))
        panel.dots += [Dot(side, "square" if side == "legacy" else "disc", x, y) for side, x in ends]
        rows.append(y)
        panel.height += 44
    _axis(panel, scale, rows, names)
    said = "; ".join(f"{pair.route} with {_say(pair, value, counted)}" for pair in report.pairs)
    panel.description = f"{said}."
    return panel


def _axis(panel: Panel, scale: Scale, rows: list[float], names: Names) -> None:
    """Mark the ticks in each row, behind its marks, and name them below the last one."""
    ticks = scale.ticks
    # In front of the list, so that ranges and dots are drawn over the ruler.
    rulers = [Line("grid", scale.x(ticks[0]), y, scale.x(ticks[-1]), y) for y in rows]
    marks = [Line("grid", scale.x(tick), y - 6, scale.x(tick), y + 6) for tick in ticks for y in rows]
    panel.lines[:0] = rulers + marks
    y = panel.height + 10
    panel.words.append(Words("tick", 0, y, names(ticks[0])))
    panel.words += [Words("tick", scale.x(tick), y, names(tick), "middle") for tick in ticks[1:-1]]
    panel.words.append(Words("tick", PANEL_WIDTH, y, names(ticks[-1]), "end"))
    panel.height = y + 6


def _pairs(report: Report, route: str) -> list[Pair]:
    return [pair for pair in report.pairs if pair.route == route]


def _percentiles(run: Run) -> tuple[float | None, float | None, float | None, float | None]:
    return run.p50_ms, run.p95_ms, run.p99_ms, run.max_ms


def _gain(pair: Pair) -> str:
    return typeset(ratio(pair.throughput_gain)) if pair.throughput_gain else ""


def _short(count: float) -> str:
    return f"{count / 1000:g}k" if count >= 1000 else f"{count:g}"


def _say(pair: Pair, value: Value, write: Callable[[float | None], str]) -> str:
    said = ", ".join(f"{run.side} {write(value(run))}" for run in pair.runs)
    return f"{people(pair.users)} {said}"


def _say_latency(run: Run) -> str:
    p50, p95, p99, longest = (measured(value) for value in _percentiles(run))
    return f"{people(run.users)} {run.side} p50 {p50}, p95 {p95}, p99 {p99}, longest {longest} milliseconds"
