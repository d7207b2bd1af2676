"""The tables of a result, for a terminal and for the page, and the notes below them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...demo.report.figures import counted, measured
from ..output import WIDTH, Bar, judged, machine_line
from ..spread import Spread
from .listing import PAGES, WAYS
from .plan import USUAL, way_label
from .requests import PGBENCH, SERVED
from .result import Result


@dataclass(frozen=True)
class Line:
    """One line of a table."""

    label: str
    is_ours: bool
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """What it shows, what stands above the lines' names and above each column, and the lines."""

    title: str
    corner: str
    head: tuple[str, ...]
    lines: tuple[Line, ...]


def render_table(result: Result, bars: Sequence[Bar]) -> str:
    """Return the whole report as text, at most 110 columns wide."""
    lines = [line for table in tables(result) for line in (*_written(table), "")]
    lines += [*explanations(result), *judged(bars), ""]
    for text in notes(result):
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def tables(result: Result) -> list[Table]:
    """Return all tables that have something in them."""
    return [*_profiles(result), *_requests(result), *_lists(result)]


def explanations(result: Result) -> Iterator[str]:
    """Yield what the columns' names mean."""
    if result.profiles:
        yield "milliseconds: median of a call, from asking to the bytes of an HTTP body; x: as a multiple of ours"
        yield "statements: counted by the server; trips: round trips, KiB: from the server, counted by a proxy"
    if result.requests:
        yield "ideal: 1 / (1 / empty route + 1 / pgbench) of each round; of the ideal: median of the rounds"
    if result.lists and result.lists.exports:
        yield "MiB: how much a fresh process grew at most, in any round"


def notes(result: Result) -> Iterator[str]:
    """Yield what was measured on, how quiet it was, and what is missing."""
    yield machine_line(result.machine)
    yield "versions: " + ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    yield f"measured {result.date} with {result.command}: shop {result.plan.size}"
    yield from _of_profiles(result)
    yield from _of_requests(result)
    yield f"noise: {result.noise_line()}"
    for label, reason in result.left_out.items():
        yield f"left out: {label}: {reason}"


def _of_profiles(result: Result) -> Iterator[str]:
    if not result.profiles:
        return
    for way, added in result.profiles.added_ms.items():
        yield f"network: {way_label(way)} was measured as {added:+.2f} ms on the smallest query"
    for way, plans in result.profiles.plans.items():
        if way != "pgbouncer" and plans.get("ours-kept") == 0:
            yield f"kept plan: over {way_label(way)} the leased connection kept none"


def _of_requests(result: Result) -> Iterator[str]:
    if result.requests:
        plan = result.plan
        yield (
            f"requests: {plan.users} in flight, {plan.http_rounds} rounds of {plan.http_seconds:g} s, client and "
            "servers on the same processors"
        )


def _profiles(result: Result) -> Iterator[Table]:
    if not result.profiles:
        return
    for number in result.plan.children:
        ways = [way for way in result.plan.over if result.profiles.cell(way, number)]
        if ways:
            yield _times(result, number, ways)
    yield _asked(result)


def _times(result: Result, number: int, ways: Sequence[str]) -> Table:
    lines = [
        Line(method.label, method.is_ours, tuple(
            cell
            for way in ways
            for cell in (measured(result.ms(method.key, way, number)),
                         measured(result.ratio(method.key, way, number)))
        ))
        for method in result.methods
    ]  # fmt: skip
    head = tuple(text for way in ways for text in (way_label(way), "x"))
    return Table(f"a profile with {number:,} appointments, milliseconds", "method", head, tuple(lines))


def _asked(result: Result) -> Table:
    asked = result.profiles.asked if result.profiles else {}
    numbers = result.plan.children
    usual = USUAL if USUAL in numbers else numbers[0]
    lines = []
    for method in result.methods:
        found = asked.get(method.key, {})
        cells = [counted(found[number].statements) if number in found else "-" for number in numbers]
        at = found.get(usual)
        cells += [counted(at.round_trips), measured(at.received_kib)] if at else ["-", "-"]
        lines.append(Line(method.label, method.is_ours, tuple(cells)))
    head = (*(f"N = {number:,}" for number in numbers), f"trips at {usual:,}", f"KiB at {usual:,}")
    return Table("statements per profile", "method", head, tuple(lines))


def _requests(result: Result) -> Iterator[Table]:
    if not result.requests:
        return
    found = result.requests
    named = [(served.key, served.label, served.is_ours) for served in SERVED]
    lines = [
        Line(label, is_ours, (*_rate(found.rates.get(key)), _share(found.shares.get(key))))
        for key, label, is_ours in (named[0], (PGBENCH, "pgbench, same statement", False), *named[1:])
    ]
    ideal = Line("ideal: both, nothing else", False, (*_rate(found.ideal), "100 %" if found.ideal else "-"))
    head = ("a second", "min..max", "of the ideal")
    yield Table("requests for a profile with 20 appointments", "server", head, (*lines[:2], ideal, *lines[2:]))


def _lists(result: Result) -> Iterator[Table]:
    if not result.lists:
        return
    pages = result.lists.pages
    if pages:
        first = pages["cursor-first"].median
        lines = [
            Line(PAGES[key].format(result.plan.depth), key.startswith("cursor"),
                 (measured(found.median), measured(found.median / first)))
            for key, found in pages.items()
        ]  # fmt: skip
        yield Table("a page of 50 rows", "page", ("ms", "x page 1 by cursor"), tuple(lines))
    for rows, ways in result.lists.exports.items():
        base = ways["copy"].seconds.median
        lines = [
            Line(WAYS[way], way == "ours", (
                measured(found.seconds.median), measured(found.seconds.median / base),
                measured(found.first_ms.median), measured(found.mib.high),
            ))
            for way, found in ways.items()
        ]  # fmt: skip
        yield Table(f"{rows:,} rows as CSV", "export", ("seconds", "x COPY", "first byte ms", "MiB"), tuple(lines))


def _rate(found: Spread | None) -> tuple[str, str]:
    if found is None:
        return "-", "-"
    return measured(found.median), f"{found.low:.0f}..{found.high:.0f}"


def _share(found: Spread | None) -> str:
    return "-" if found is None else f"{found.median * 100:.0f} %"


def _written(table: Table) -> Iterator[str]:
    first = max(len(text) for text in (table.corner, *(line.label for line in table.lines)))
    columns = zip(table.head, *(line.cells for line in table.lines), strict=True)
    widths = [max(map(len, column)) + 2 for column in columns]
    yield table.title
    for label, cells in ((table.corner, table.head), *((line.label, line.cells) for line in table.lines)):
        yield label.ljust(first) + "".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
