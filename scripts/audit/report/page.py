"""The report as one HTML page: for whoever decides what is mended first, and for whoever mends it.

The page loads nothing from anywhere, works without its script (which only filters) and escapes whatever comes from
the audited code. Geometry is decided here; the template knows bars only.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import jinja2
import markupsafe

from ..finding import Finding, Place
from ..score import EVERY, FIRST
from .report import GRADES, Report, numbered

TEMPLATE = "audit.html.j2"
BARS = 12  # of one plot
BEFORE = 2  # source lines above a finding
LONGEST = 8  # source lines of a finding
ROUTES = 200  # of the table


@dataclass(frozen=True)
class Bar:
    """A row of a plot; `parts` are class, start and width of its pieces, in per cent."""

    label: str
    count: int
    parts: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Line:
    """A line of source; the middle of its three pieces is what is meant."""

    number: int
    before: str
    marked: str = ""
    after: str = ""


def render(report: Report) -> str:
    """Return the page."""
    template = _environment().get_template(TEMPLATE)
    shown = template.render(
        report=report,
        grades=GRADES,
        first=report.steps[:FIRST],
        rule_bars=_bars(report, report.by_rule, lambda each: (each.name,)),
        file_bars=_bars(report, report.by_file, lambda each: (each.place.path,)),
        route_bars=_bars(report, report.by_route, lambda each: each.routes),
        routes=_routes(report),
        numbered=numbered,
        excerpt=lambda place: excerpt(report, place),
        every=EVERY,
    )
    # Printable by whatever reads it; file names may hold bytes that are no UTF-8.
    shown = shown.encode("utf-8", "replace").decode()
    return shown.replace("@SCRIPT@", _digest(shown), 1)


def _words(text: str) -> markupsafe.Markup:
    """Set what stands between backticks as code; all of it is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one backtick is left over
        return markupsafe.escape(text)
    shown = [markupsafe.Markup("<code>{}</code>").format(each) if number % 2 else markupsafe.escape(each)
             for number, each in enumerate(parts)]  # fmt: skip
    return markupsafe.Markup("").join(shown)


@lru_cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["words"] = _words
    return environment


def _digest(page: str) -> str:
    """Return what the page's policy allows: its own script and no other, whatever the code's strings contain."""
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[-1]
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _bars(report: Report, counts: Mapping[str, int], names: Callable[[Finding], Collection[str]]) -> list[Bar]:
    """Return the longest bars of a plot, each split by severity."""
    longest = max(counts.values(), default=1)
    found = []
    for label, count in list(counts.items())[:BARS]:
        at, parts = 0.0, []
        for grade in GRADES:
            width = 100 * sum(label in names(each) and each.severity == grade for each in report.shown) / longest
            if width:
                parts.append((grade.name, round(at, 2), round(width, 2)))
                at += width
        found.append(Bar("every request" if label == EVERY else label, count, tuple(parts)))
    return found


def _routes(report: Report) -> list[tuple[str, list[tuple[int, Finding]]]]:
    """Return each URL with the numbers and findings on its way, the most first."""
    by_name: dict[str, list[tuple[int, Finding]]] = {}
    for number, each in enumerate(report.shown, 1):
        for name in each.routes:
            by_name.setdefault(name, []).append((number, each))
    found = [("every request" if name == EVERY else name, by_name[name]) for name in report.by_route]
    return found[:ROUTES]


def excerpt(report: Report, place: Place) -> list[Line]:
    """Return the lines of a place with some above it; none for what is in no file."""
    if not place.line:
        return []
    last = min(place.end_line, place.line + LONGEST - 1)
    lines = [_line(report, place, number) for number in range(max(1, place.line - BEFORE), last + 1)]
    return lines if any(each.before or each.marked or each.after for each in lines) else []


def _line(report: Report, place: Place, number: int) -> Line:
    text = report.sources.shown(place.path, number)
    if number < place.line or report.sources.is_secret(place.path, number):
        return Line(number, text)
    start = place.col - 1 if number == place.line else len(text) - len(text.lstrip())
    end = place.end_col - 1 if number == place.end_line and place.end_col > 0 else len(text)
    return Line(number, text[:start], text[start:end], text[end:])
