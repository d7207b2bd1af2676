"""The plots of the page. Ours is blue, what it is compared with orange; words and numbers say the same again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...demo.report.figures import NONE, counted, measured, ratio, typeset
from ...demo.report.shapes import PANEL_WIDTH, Bar, Dot, Line, LogScale, Panel, Words
from .listing import PAGES, WAYS
from .plan import USUAL, way_label
from .requests import SERVED
from .result import Result

LEFT = 168.0  # of the bars, right of the longest label
ROOM = 58.0  # right of them, for a value
LONGEST = 10.0  # times ours: a bar beyond ends in a gap, or N+1 over a network would flatten all others
MARGIN = 8.0
PLOT_HEIGHT = 130.0


@dataclass(frozen=True)
class Entry:
    """One bar of a panel; `side` is the demo's word for its colour."""

    label: str
    is_ours: bool
    value: float | None

    @property
    def side(self) -> str:
        return "hardened" if self.is_ours else "legacy"


def by_way(result: Result) -> list[Panel]:
    """Bars per way to the server, as multiples of ours."""
    number = USUAL if USUAL in result.plan.children else result.plan.children[0]
    panels = []
    for way in result.plan.over:
        if result.ms("ours", way, number) is not None:
            entries = [
                Entry(method.label, method.is_ours, result.ratio(method.key, way, number))
                for method in result.methods
            ]
            title = f"{way_label(way)}: {measured(result.ms('ours', way, number))} ms is 1"
            key = f"way-{way.replace('.', '-')}"
            panels.append(bars(key, title, entries, lambda value: typeset(ratio(value)), LONGEST))
    return panels


def by_children(result: Result) -> list[Panel]:
    """A panel per method: its milliseconds and ours by the number of children, over the first way."""
    numbers = [number for number in result.plan.children if result.ms("ours", result.plan.over[0], number)]
    if len(numbers) < 2:
        return []
    values = [value for method in result.methods for _, value in _costs(result, method.key)]
    up = LogScale(values, PLOT_HEIGHT, MARGIN)
    return [
        _lines(result, method.key, method.label, numbers, up)
        for method in result.methods
        if not method.is_ours and _costs(result, method.key)
    ]


def requests(result: Result) -> list[Panel]:
    """Bars of requests a second, and of their share of the ideal."""
    found = result.requests
    if not found:
        return []
    rates = [
        Entry(served.label, served.is_ours, found.rates[served.key].median)
        for served in SERVED
        if served.key in found.rates
    ]
    if found.ideal:
        rates.insert(1, Entry("ideal", False, found.ideal.median))
    shares = [
        Entry(served.label, served.is_ours, found.shares[served.key].median * 100)
        for served in SERVED
        if served.key in found.shares
    ]
    panels = [bars("rates", "Requests a second", rates, measured)]
    if shares:
        panels.append(bars("shares", "Percent of the ideal", shares, lambda value: f"{value:.0f} %"))
    return panels


def lists(result: Result) -> list[Panel]:
    """Bars of pages and exports."""
    found, panels = result.lists, []
    if found and found.pages:
        entries = [
            Entry(PAGES[key].format(result.plan.depth), key.startswith("cursor"), figure.median)
            for key, figure in found.pages.items()
        ]
        panels.append(bars("pages", "A page of 50 rows, ms", entries, measured))
    for rows, ways in (found.exports if found else {}).items():
        for name, title in (("seconds", "s"), ("first_ms", "first byte, ms"), ("mib", "memory, MiB")):
            entries = [Entry(WAYS[way], way == "ours", getattr(each, name).median) for way, each in ways.items()]
            panels.append(bars(f"export-{rows}-{name}", f"{rows:,} rows as CSV: {title}", entries, measured))
    return panels


def _costs(result: Result, key: str) -> list[tuple[int, float]]:
    way = result.plan.over[0]
    found = [(number, result.ms(key, way, number)) for number in result.plan.children]
    return [(number, value) for number, value in found if value is not None]


def _lines(result: Result, key: str, label: str, numbers: Sequence[int], up: LogScale) -> Panel:
    panel = Panel(f"children-{key}", label, "", PLOT_HEIGHT + 18)
    left, right = 40.0, PANEL_WIDTH - 24
    places = {number: left + (right - left) * at / (len(numbers) - 1) for at, number in enumerate(numbers)}
    for tick in up.ticks:
        panel.lines.append(Line("grid", 34.0, up.x(tick), PANEL_WIDTH - MARGIN, up.x(tick)))
        panel.words.append(Words("tick", 28.0, up.x(tick) + 4, _ms(tick), "end"))
    for number, x in places.items():
        panel.words.append(Words("tick", x, PLOT_HEIGHT + 16, counted(number), "middle"))
    said = []
    for side, shape, name, words in (("legacy", "square", key, label), ("hardened", "disc", "ours", "ours")):
        found = [(number, value) for number, value in _costs(result, name) if number in places]
        points = [(places[number], up.x(value)) for number, value in found]
        panel.lines += [Line("range", x1, y1, x2, y2, side) for (x1, y1), (x2, y2) in pairwise(points)]
        panel.dots += [Dot(side, shape, x, y) for x, y in points]  # type: ignore[arg-type]
        said.append(f"{words} " + ", ".join(f"{number}: {measured(value)}" for number, value in found))
    panel.description = "Milliseconds by appointments: " + "; ".join(said)
    return panel


def bars(
    key: str, title: str, entries: Sequence[Entry], write: Callable[[float], str], longest: float | None = None
) -> Panel:
    """Return a panel of horizontal bars.

    Args:
        key: unique on the page.
        title: what is plotted.
        entries: from top to bottom.
        write: how a value is written.
        longest: a bar beyond this value ends in a gap.
    """
    panel = Panel(key, typeset(title), "")
    top = max((entry.value for entry in entries if entry.value is not None), default=0.0) or 1.0
    for entry in entries:
        _bar(panel, entry, min(top, longest or top), NONE if entry.value is None else write(entry.value))
    panel.description = f"{title}: " + "; ".join(
        f"{entry.label} {NONE if entry.value is None else write(entry.value)}" for entry in entries
    )
    return panel


def _bar(panel: Panel, entry: Entry, top: float, text: str) -> None:
    value = entry.value or 0.0
    width = round((PANEL_WIDTH - LEFT - ROOM) * min(value / top, 1.0), 1)
    panel.words.append(Words("label", 0, panel.height + 12, entry.label))
    if value > top * 1.001:  # the gap says that the bar goes on
        panel.bars.append(Bar(entry.side, LEFT, panel.height, width - 14, 14))
        panel.bars.append(Bar(entry.side, LEFT + width - 9, panel.height, 9, 14))
    else:
        panel.bars.append(Bar(entry.side, LEFT, panel.height, width, 14))
    panel.words.append(Words("value", LEFT + width + 6, panel.height + 12, text))
    panel.height += 21


def _ms(value: float) -> str:
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"
