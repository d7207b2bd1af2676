"""The tables of a result, for a terminal, and the notes below them."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterator, Sequence

from ..output import WIDTH, Bar, judged, machine_line
from .plan import BATCHES, STATEMENTS
from .result import BASE, Result
from .ways import WAYS

LABELS = {"cheap": "one row", "rows": "twenty rows"}
NAME_WIDTH, CELL_WIDTH = 38, 11


def render_table(result: Result, bars: Sequence[Bar]) -> str:
    """Return the whole report as text, at most 110 columns wide."""
    lines = [*_queries(result), *_rest(result), *judged(bars), ""]
    for text in notes(result):
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _queries(result: Result) -> Iterator[str]:
    if not result.cells:
        return
    yield "processor time that a query takes more, microseconds"
    cells = [cell for name in STATEMENTS for batch in BATCHES if (cell := result.cell(name, batch))]
    yield _line("", [LABELS[cell.statement] if cell.batch == BATCHES[0] else "" for cell in cells])
    yield _line("queries in a request", [str(cell.batch) for cell in cells])
    for way in WAYS:
        if way.key == BASE:
            yield _line(f"{way.label}: all of it", [f"{cell.base_us():.1f}" for cell in cells])
            continue
        added = [cell.added_us(way.key) for cell in cells]
        yield _line(way.label, ["" if each is None else f"{each:+.2f}" for each in added])
    yield ""
    yield "median of each round's difference to psycopg2's cursor; a request's end is shared by its queries"
    for name in STATEMENTS:
        found = result.of_each_query(name)
        if found is not None:
            each, request = found
            yield f"watching adds to each query {each:+.2f} us, to a request {request:+.1f} us ({LABELS[name]})"


def _line(name: str, cells: Sequence[str]) -> str:
    return name.ljust(NAME_WIDTH) + "".join(cell.rjust(CELL_WIDTH) for cell in cells)


def _rest(result: Result) -> Iterator[str]:
    for key, label in (("outside", "outside a request"), ("request", "in a request")):
        if key in result.wrapper:
            yield f"the wrapper alone, {label}: {statistics.median(result.wrapper[key]) / 1000:.2f} us a call"
    if result.grown_bytes is not None:
        yield f"memory after {result.plan.texts:,} different statements: {result.grown_bytes / 2**20:+.1f} MiB"
    for name, rates in result.rates.items():
        extremes = f"{min(rates):,.0f} to {max(rates):,.0f}"
        yield f"the shop {name}: {statistics.median(rates):,.0f} requests/s ({extremes})"


def notes(result: Result) -> Iterator[str]:
    """Yield what was measured on, and how quiet it was."""
    yield machine_line(result.machine)
    yield "versions: " + ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    yield f"measured {result.date} with {result.command}"
    yield f"noise: {result.noise.verdict()}"
