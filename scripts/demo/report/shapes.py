"""What a plot is made of: positioned marks and words, which the template writes as SVG.

Geometry is decided here, where it can be tested; the template knows shapes only. A panel is as wide as a phone
and is never scaled up much, so that its letters keep their size: wide pages set several side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

PANEL_WIDTH = 340.0


@dataclass(frozen=True)
class Bar:
    """A horizontal bar from x to the right."""

    side: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Dot:
    """A mark centred on a point; its shape says what it is, so that its colour need not."""

    side: str
    shape: Literal["disc", "square", "diamond", "ring", "tick"]
    x: float
    y: float


@dataclass(frozen=True)
class Line:
    """A straight line; kind is "range", "thin" or "grid"."""

    kind: str
    x1: float
    y1: float
    x2: float
    y2: float
    side: str = ""


@dataclass(frozen=True)
class Words:
    """A piece of text; kind is "group", "label", "value", "note" or "tick"."""

    kind: str
    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "start"


@dataclass
class Panel:
    """One plot.

    Attributes:
        key: Unique on the page, for the ids of title and description.
        title: What is plotted, in a few words.
        description: The figures in words, for those who hear the page.
    """

    key: str
    title: str
    description: str
    height: float = 0.0
    bars: list[Bar] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)


class LogScale:
    """Maps values to x on decades that hold all of them, from a thousandth up."""

    def __init__(self, values: Iterable[float], left: float, right: float) -> None:
        positive = [value for value in values if value > 0] or [1.0]
        self._low = max(math.floor(math.log10(min(positive))), -3)
        self._high = max(math.ceil(math.log10(max(positive))), self._low + 1)
        self._left, self._right = left, right

    @property
    def ticks(self) -> list[float]:
        """Powers of ten from end to end."""
        return [10.0**power for power in range(self._low, self._high + 1)]

    def x(self, value: float) -> float:
        """Return where a value stands; what is below the first tick stands on it."""
        position = math.log10(max(value, 10.0**self._low)) - self._low
        return round(self._left + (self._right - self._left) * position / (self._high - self._low), 1)


class LinearScale:
    """Maps values to x in proportion, from none at all to the largest."""

    def __init__(self, values: Iterable[float], left: float, right: float) -> None:
        self._high = max(values, default=0) or 1.0
        self._left, self._right = left, right

    @property
    def ticks(self) -> list[float]:
        """Both ends."""
        return [0.0, self._high]

    def x(self, value: float) -> float:
        """Return where a value stands."""
        return round(self._left + (self._right - self._left) * value / self._high, 1)


class CountScale:
    """Maps counts to x, logarithmic in 1 + count, so that none at all has a place too."""

    def __init__(self, values: Iterable[float], left: float, right: float) -> None:
        self._decades = max(math.ceil(math.log10(1 + max(values, default=0)) - 0.01), 1)
        self._left, self._right = left, right

    @property
    def ticks(self) -> list[float]:
        """Zero, then powers of ten."""
        return [0.0] + [10.0**power for power in range(self._decades + 1)]

    def x(self, value: float) -> float:
        """Return where a count stands."""
        share = math.log10(1 + value) / math.log10(1 + 10.0**self._decades)
        return round(self._left + (self._right - self._left) * share, 1)
