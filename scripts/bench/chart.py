"""Line charts for the pages: points on linear or logarithmic axes, as SVG that a template writes.

Geometry is decided here, where it can be tested. A chart is as wide as a phone; a line is told apart by its
colour, its dashes and the word at its end. What has no value is a gap, never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

WIDTH = 340.0
HEIGHT = 170.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 58.0, 8.0, 26.0
APART = 12.0  # between two words at the right, so that none covers another
COLOURS = 8  # the styles below; the ninth line has the first one's again

STYLE = """
.plot { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.c0 { stroke: var(--hardened); } .c1 { stroke: var(--legacy); stroke-dasharray: 6 3; }
.c2 { stroke: #009e73; stroke-dasharray: 2 2; } .c3 { stroke: #aa4499; stroke-dasharray: 8 3 2 3; }
.c4 { stroke: #8c6d00; stroke-dasharray: 4 2; } .c5 { stroke: #6a6a6a; stroke-dasharray: 1 3; }
.c6 { stroke: #882255; stroke-dasharray: 10 3; } .c7 { stroke: #44857a; stroke-dasharray: 3 5; }
.m0 { fill: var(--hardened); } .m1 { fill: var(--legacy); } .m2 { fill: #009e73; } .m3 { fill: #aa4499; }
.m4 { fill: #8c6d00; } .m5 { fill: #6a6a6a; } .m6 { fill: #882255; } .m7 { fill: #44857a; }
.span { fill: var(--rule); opacity: 0.55; }
.key { width: 2rem; height: 0.8rem; vertical-align: middle; margin-right: 0.35rem; }
@media (prefers-color-scheme: dark) {
  .c2 { stroke: #3dd6a8; } .c3 { stroke: #dd8fd0; } .c4 { stroke: #d6b53c; } .c5 { stroke: #b5b5b5; }
  .c6 { stroke: #e2809b; } .c7 { stroke: #7cc9bc; } .m2 { fill: #3dd6a8; } .m3 { fill: #dd8fd0; }
  .m4 { fill: #d6b53c; } .m5 { fill: #b5b5b5; } .m6 { fill: #e2809b; } .m7 { fill: #7cc9bc; }
}
"""
MACROS = """\
{% macro chart(drawn) %}
<figure>
<figcaption>{{ drawn.title }}</figcaption>
<svg viewBox="0 0 340 {{ drawn.height }}" role="img" aria-labelledby="{{ drawn.key }}-t {{ drawn.key }}-d">
  <title id="{{ drawn.key }}-t">{{ drawn.title }}</title>
  <desc id="{{ drawn.key }}-d">{{ drawn.description }}</desc>
{% for x, width in drawn.spans %}
  <rect class="span" x="{{ x }}" y="8" width="{{ width }}" height="{{ drawn.height - 34 }}"/>
{% endfor %}
{% for y, text in drawn.rows %}
  <line class="grid" x1="44" x2="282" y1="{{ y }}" y2="{{ y }}"/>
  <text class="tick" x="40" y="{{ y + 4 }}" text-anchor="end">{{ text }}</text>
{% endfor %}
{% for x, text in drawn.columns %}
  <text class="tick" x="{{ x }}" y="{{ drawn.height - 9 }}" text-anchor="middle">{{ text }}</text>
{% endfor %}
{% for line in drawn.lines %}
{% for points in line.parts %}
  <polyline class="plot c{{ line.style }}" points="{{ points }}"/>
{% endfor %}
{% for x, y in line.marks %}
  <circle class="m{{ line.style }}" cx="{{ x }}" cy="{{ y }}" r="3.5"/>
{% endfor %}
  <text class="label" x="286" y="{{ line.word_y }}">{{ line.word }}</text>
{% endfor %}
</svg>
</figure>
{% endmacro %}
{% macro key(style) %}
<svg class="key" viewBox="0 0 32 12" aria-hidden="true"><path class="plot c{{ style }}" d="M0 6h32"/></svg>
{%- endmacro %}
"""


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        word: at its end; "" for none.
        points: x and y; a y of None is a gap.
        style: number of its colour and dashes.
        is_dots: single marks instead of a line.
    """

    word: str
    points: Sequence[tuple[float, float | None]]
    style: int = 0
    is_dots: bool = False


@dataclass
class Drawn:
    """A line as the template writes it."""

    word: str
    style: int
    parts: list[str]
    marks: list[tuple[float, float]]
    word_y: float


@dataclass
class Chart:
    """A chart as the template writes it."""

    key: str
    title: str
    description: str
    rows: list[tuple[float, str]]
    columns: list[tuple[float, str]]
    lines: list[Drawn]
    spans: list[tuple[float, float]] = field(default_factory=list)
    height: float = HEIGHT


class Axis:
    """Maps values to places.

    Args:
        values: what has to fit.
        start, end: places of the lowest and the highest.
        is_log: logarithmic, in decades; values of 0 stand at its low end.
    """

    def __init__(self, values: Iterable[float], start: float, end: float, is_log: bool = False) -> None:
        known = [value for value in values if not is_log or value > 0]
        self._start, self._end, self._is_log = start, end, is_log
        if is_log:
            self._low: float = math.floor(math.log10(min(known, default=1.0)) + 1e-9)
            self._high: float = max(math.ceil(math.log10(max(known, default=10.0)) - 1e-9), self._low + 1)
        else:
            self._low, self._high = 0.0, nice(max(known, default=0.0))

    def place(self, value: float) -> float:
        """Return where a value stands."""
        if self._is_log:
            value = math.log10(max(value, 10.0**self._low))
        share = (value - self._low) / (self._high - self._low)
        return round(self._start + (self._end - self._start) * share, 1)

    @property
    def ticks(self) -> list[float]:
        """Decades, or none, half and all."""
        if self._is_log:
            return [10.0**power for power in range(round(self._low), round(self._high) + 1)]
        return [0.0, self._high / 2, self._high]


def nice(value: float) -> float:
    """Return the next number of 1, 2, 4, 5, 6, 8 times a power of ten that is not below the value."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 4, 5, 6, 8) if step * power >= value * (1 - 1e-9)), 10 * power)


def draw(
    key: str,
    title: str,
    curves: Sequence[Curve],
    write_x: Callable[[float], str],
    write_y: Callable[[float], str],
    *,
    is_log_x: bool = False,
    is_log_y: bool = False,
    reach: Sequence[float] = (),
    spans: Sequence[tuple[float, float]] = (),
    description: str = "",
) -> Chart:
    """Return a chart of curves.

    Args:
        key: unique on the page.
        write_x, write_y: how ticks are written.
        reach: values that the y axis has to hold too, for charts that share a scale.
        spans: from and to on the x axis, shaded.
        description: for those who hear the page; else each curve's last value is told.
    """
    known = [y for curve in curves for _, y in curve.points if y is not None]
    across = Axis([x for curve in curves for x, _ in curve.points], LEFT, WIDTH - RIGHT, is_log_x)
    up = Axis([*known, *reach], HEIGHT - BOTTOM, TOP, is_log_y)
    lines = [_drawn(curve, across, up) for curve in curves if any(y is not None for _, y in curve.points)]
    _keep_words_apart(lines)
    said = description or "; ".join(_said(curve, write_y) for curve in curves)
    shaded = [(across.place(low), round(across.place(high) - across.place(low), 1)) for low, high in spans]
    return Chart(
        key, title, said, [(up.place(tick), write_y(tick)) for tick in up.ticks],
        [(across.place(tick), write_x(tick)) for tick in across.ticks], lines, shaded,
    )  # fmt: skip


def _drawn(curve: Curve, across: Axis, up: Axis) -> Drawn:
    parts: list[list[str]] = [[]]
    marks = []
    last = 0.0
    for x, y in curve.points:
        if y is None:
            parts.append([])
            continue
        place = across.place(x), up.place(y)
        last = place[1]
        if curve.is_dots:
            marks.append(place)
        else:
            parts[-1].append(f"{place[0]},{place[1]}")
    style = curve.style % COLOURS
    joined = [" ".join(part * 2 if len(part) == 1 else part) for part in parts if part]
    return Drawn(curve.word, style, joined, marks, last + 4)


def _keep_words_apart(lines: list[Drawn]) -> None:
    with_word = sorted((line for line in lines if line.word), key=lambda line: line.word_y)
    for before, line in pairwise(with_word):
        line.word_y = max(line.word_y, before.word_y + APART)
    over = with_word[-1].word_y - (HEIGHT - BOTTOM + 4) if with_word else 0.0
    if over > 0:
        for number, line in enumerate(reversed(with_word)):
            line.word_y = round(min(line.word_y, HEIGHT - BOTTOM + 4 - number * APART), 1)


def _said(curve: Curve, write: Callable[[float], str]) -> str:
    known = [y for _, y in curve.points if y is not None]
    if not known:
        return f"{curve.word or 'the line'}: no figures"
    spread = f"from {write(min(known))} to {write(max(known))}"
    return f"{curve.word or 'the line'} {spread}, at the end {write(known[-1])}"
