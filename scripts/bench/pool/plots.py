"""The plots of the page. Ours is blue, what it is compared with orange; words and numbers say the same again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from ...demo.report.figures import NONE, counted, measured, ratio, typeset
from ...demo.report.shapes import PANEL_WIDTH, Bar, Dot, Line, LogScale, Panel, Words
from .result import Result, Row

Place = tuple[float, float]
Write = Callable[[float], str]
Value = Callable[[Row], float | None]

LEFT = 152.0  # of the bars, right of the longest label
ROOM = 58.0  # right of them, for a value
LONGEST = 10.0  # times ours: a bar beyond ends in a gap, or connect per request would flatten all others
MARGIN = 8.0
PLOT_HEIGHT = 120.0


def costs(result: Result) -> list[Panel]:
    """Bars of what one thread pays, as multiples of ours."""
    return [
        _multiples(result, "checkout", "Checkout and return, x ours", "checkout_us"),
        _multiples(result, "block", "The same in a with block, x ours", "block_us"),
        _multiples(result, "query", "The same with SELECT 1, x ours", "query_us"),
    ]


def contention(result: Result) -> list[Panel]:
    """Throughput, waits and fairness when many threads want few connections."""
    return [
        _bars(result, "throughput", "Visits per second", "ops_per_second", measured),
        _waits(result),
        _bars(result, "jain", "Jain's fairness index", "jain", lambda value: f"{value:.3f}"),
        _bars(result, "backends", "Most backends at once", "backends", counted, most=True),
    ]


def events(result: Result) -> list[Panel]:
    """Connect storm, memory and recovery."""
    return [
        _bars(result, "storm", "Storm: until all were served, ms", "storm_ms", measured),
        _bars(result, "opened", "Storm: backends opened", "storm_opened", counted, most=True),
        _bars(result, "memory", "An idle connection, KiB", "memory_kib", measured),
        _bars(result, "failed", "Failures after terminate", "recovery_failed", counted, most=True),
        _bars(result, "first", "Until the first answer after it, ms", "recovery_first_ms", measured),
    ]


def by_threads(result: Result) -> list[Panel]:
    """A panel per peer: its cost and ours by the number of threads, on scales that all panels share."""
    ours = result.row("ours")
    if ours is None or len(result.plan.threads) < 2:
        return []
    values = [value for row in result.rows for _, value in _costs(result, row)]
    across = LogScale(result.plan.threads, 34.0, PANEL_WIDTH - 2 * MARGIN)
    up = LogScale(values, PLOT_HEIGHT, MARGIN)
    others = [row for row in result.rows if row.key != "ours"]
    return [_lines_panel(result, ours, row, across, up) for row in others]


def _multiples(result: Result, key: str, title: str, name: str) -> Panel:
    def value(row: Row) -> float | None:
        return result.ratio(row, name)

    return _panel(result, key, title, value, lambda found: typeset(ratio(found)), LONGEST)


def _bars(result: Result, key: str, title: str, name: str, write: Write, most: bool = False) -> Panel:
    return _panel(result, key, title, lambda row: row.high(name) if most else row.median(name), write)


def _panel(
    result: Result, key: str, title: str, value: Value, write: Write, longest: float | None = None
) -> Panel:
    panel = Panel(key, typeset(title), "")
    found = [(row, value(row)) for row in result.rows]
    top = max((number for _, number in found if number is not None), default=0.0) or 1.0
    for row, number in found:
        _bar(panel, row, number, min(top, longest or top), NONE if number is None else write(number))
    panel.description = f"{title}: " + _said(found, write)
    return panel


def _bar(panel: Panel, row: Row, number: float | None, top: float, text: str) -> None:
    whole = PANEL_WIDTH - LEFT - ROOM
    width = round(whole * min((number or 0.0) / top, 1.0), 1)
    panel.words.append(Words("label", 0, panel.height + 12, row.label))
    if (number or 0.0) > top * 1.001:  # the gap says that the bar goes on
        panel.bars.append(Bar(_side(row), LEFT, panel.height, width - 14, 14))
        panel.bars.append(Bar(_side(row), LEFT + width - 9, panel.height, 9, 14))
    else:
        panel.bars.append(Bar(_side(row), LEFT, panel.height, width, 14))
    panel.words.append(Words("value", LEFT + width + 6, panel.height + 12, text))
    panel.height += 21


def _waits(result: Result) -> Panel:
    names = ("wait_p50_ms", "wait_p99_ms", "wait_max_ms")
    found = [(row, [row.median(name) for name in names]) for row in result.rows]
    scale = LogScale([value for _, values in found for value in values if value], LEFT, PANEL_WIDTH - MARGIN)
    panel = Panel("waits", "Wait: p50, p99, longest", "")
    for row, values in found:
        y = panel.height + 8
        panel.words.append(Words("label", 0, panel.height + 12, row.label))
        panel.lines.append(Line("grid", LEFT, y, PANEL_WIDTH - MARGIN, y))
        _wait_row(panel, _side(row), [scale.x(value) for value in values if value is not None], y)
        panel.height += 21
    panel.height += 10
    panel.words += [Words("tick", scale.x(tick), panel.height, _ms(tick), "middle") for tick in scale.ticks[::2]]
    panel.description = "Waits in milliseconds, p50, p99 and longest: " + "; ".join(
        f"{row.label} {', '.join(map(measured, values))}" for row, values in found
    )
    return panel


def _wait_row(panel: Panel, side: str, places: Sequence[float], y: float) -> None:
    if len(places) < 3:
        return
    p50, p99, longest = places
    panel.lines += [Line("thin", p99, y, longest, y, side), Line("range", p50, y, p99, y, side)]
    panel.dots += [Dot(side, "tick", longest, y), Dot(side, "ring", p99, y), Dot(side, "disc", p50, y)]


def _lines_panel(result: Result, ours: Row, peer: Row, across: LogScale, up: LogScale) -> Panel:
    panel = Panel(f"threads-{peer.key}", peer.label, "", PLOT_HEIGHT + 18)
    for tick in up.ticks:
        panel.lines.append(Line("grid", 34.0, up.x(tick), PANEL_WIDTH - MARGIN, up.x(tick)))
        panel.words.append(Words("tick", 28.0, up.x(tick) + 4, _microseconds(tick), "end"))
    for threads in result.plan.threads:
        panel.words.append(Words("tick", across.x(threads), PLOT_HEIGHT + 16, counted(threads), "middle"))
    _line(panel, "legacy", "square", [(across.x(threads), up.x(cost)) for threads, cost in _costs(result, peer)])
    _line(panel, "hardened", "disc", [(across.x(threads), up.x(cost)) for threads, cost in _costs(result, ours)])
    panel.description = "Microseconds by threads: " + "; ".join(
        f"{row.label} " + ", ".join(f"{threads}: {measured(value)}" for threads, value in _costs(result, row))
        for row in (peer, ours)
    )
    return panel


def _line(panel: Panel, side: str, shape: Literal["square", "disc"], places: Sequence[Place]) -> None:
    panel.lines += [Line("range", x1, y1, x2, y2, side) for (x1, y1), (x2, y2) in pairwise(places)]
    panel.dots += [Dot(side, shape, x, y) for x, y in places]


def _costs(result: Result, row: Row) -> list[tuple[int, float]]:
    found = [(threads, row.median(f"threads_{threads}_us")) for threads in sorted(set(result.plan.threads))]
    return [(threads, value) for threads, value in found if value is not None]


def _side(row: Row) -> str:
    return "hardened" if row.is_ours else "legacy"


def _said(found: Sequence[tuple[Row, float | None]], write: Write) -> str:
    return "; ".join(f"{row.label} {NONE if number is None else write(number)}" for row, number in found)


def _ms(milliseconds: float) -> str:
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g}"


def _microseconds(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g} s"
    return f"{value / 1000:g} ms" if value >= 1000 else f"{value:g}"
