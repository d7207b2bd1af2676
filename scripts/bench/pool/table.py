"""The text tables of a terminal: a section per question, a line per subject."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ...demo.report.figures import NONE, counted, measured
from ..output import WIDTH, Bar, judged, machine_line
from .result import Result, Row

LABEL = 21


@dataclass(frozen=True)
class Column:
    """A column: its name, its width, and what stands in it."""

    name: str
    width: int
    cell: Callable[[Row], str]


@dataclass(frozen=True)
class Section:
    """A table: what it shows, and its columns."""

    title: str
    columns: tuple[Column, ...]


def render_table(result: Result, bars: Sequence[Bar]) -> str:
    """Return the whole report as text, at most 110 columns wide."""
    lines = [line for section in sections(result) for line in (*_lines(section, result.rows), "")]
    lines += [
        "x ours: the median as a multiple of ours; min..max: over the rounds; failed: calls that raised",
        *judged(bars),
        "",
    ]
    for text in notes(result):
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="  ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def sections(result: Result) -> tuple[Section, ...]:
    """Return the tables of a result."""
    plan = result.plan
    return (
        Section("one thread, microseconds", _serial(result)),
        Section(
            f"{plan.crowd} threads on {plan.size} connections, each held for {plan.hold_ms:g} ms", _contention()
        ),
        Section("checkout + SELECT 1 + return by threads, microseconds and min..max", _threads(result)),
        Section(
            f"{plan.crowd} threads on a fresh pool; memory of an idle connection; "
            f"{plan.checkouts:,} checkouts after all backends were terminated",
            _events(),
        ),
    )


def notes(result: Result) -> Iterator[str]:
    """Yield what was measured on, how quiet it was, and what is missing."""
    plan = result.plan
    yield machine_line(result.machine)
    yield "versions: " + ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    yield (
        f"measured {result.date} with {result.command}: {plan.rounds} rounds ({plan.slow_rounds} of storm, memory "
        f"and recovery), {plan.seconds:g} s of contention each, a caller waits {plan.timeout:g} s at most"
    )
    yield f"noise: {result.noise_line()}"
    for label, reason in result.left_out.items():
        yield f"left out: {label}: {reason}"
    for problem in result.problems:
        yield f"not measured: {problem}"


def _lines(section: Section, rows: Sequence[Row]) -> Iterator[str]:
    yield section.title
    yield " " * LABEL + "".join(column.name.rjust(column.width) for column in section.columns)
    for row in rows:
        yield row.label.ljust(LABEL) + "".join(column.cell(row).rjust(column.width) for column in section.columns)


def _serial(result: Result) -> tuple[Column, ...]:
    return (
        Column("checkout", 10, _median("checkout_us")),
        Column("min..max", 15, _range("checkout_us")),
        Column("x ours", 7, _multiple(result, "checkout_us")),
        Column("with block", 12, _median("block_us")),
        Column("x ours", 7, _multiple(result, "block_us")),
        Column("with SELECT 1", 15, _median("query_us")),
        Column("min..max", 15, _range("query_us")),
        Column("x ours", 7, _multiple(result, "query_us")),
    )


def _multiple(result: Result, name: str) -> Callable[[Row], str]:
    return lambda row: measured(result.ratio(row, name))


def _contention() -> tuple[Column, ...]:
    return (
        Column("ops/s", 8, _median("ops_per_second")),
        Column("min..max", 15, _range("ops_per_second")),
        Column("wait p50", 10, _median("wait_p50_ms")),
        Column("p99", 8, _median("wait_p99_ms")),
        Column("max ms", 8, _median("wait_max_ms")),
        Column("Jain", 7, _fairness),
        Column("ops a thread", 14, _ops),
        Column("backends", 10, _most("backends")),
        Column("failed", 8, _most("failed")),
    )


def _threads(result: Result) -> tuple[Column, ...]:
    return tuple(
        Column(f"{threads:,} threads", 22, _median_and_range(f"threads_{threads}_us"))
        for threads in result.plan.threads
    )


def _events() -> tuple[Column, ...]:
    return (
        Column("storm ms", 9, _median("storm_ms")),
        Column("min..max", 16, _range("storm_ms")),
        Column("opened", 7, _most("storm_opened")),
        Column("at once", 8, _most("storm_backends")),
        Column("KiB", 7, _median("memory_kib")),
        Column("failed", 7, _most("recovery_failed")),
        Column("first ms", 9, _median("recovery_first_ms")),
        Column("all ms", 8, _median("recovery_all_ms")),
        Column("min..max", 16, _range("recovery_all_ms")),
    )


def _median(name: str) -> Callable[[Row], str]:
    return lambda row: measured(row.median(name))


def _most(name: str) -> Callable[[Row], str]:
    return lambda row: counted(row.high(name))


def _range(name: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        if name not in row.figures:
            return NONE
        return f"{_short(row.figures[name].low)}..{_short(row.figures[name].high)}"

    return cell


def _median_and_range(name: str) -> Callable[[Row], str]:
    return lambda row: f"{measured(row.median(name))} {_range(name)(row)}" if name in row.figures else NONE


def _fairness(row: Row) -> str:
    jain = row.median("jain")
    return NONE if jain is None else f"{jain:.3f}"


def _ops(row: Row) -> str:
    low, high = row.median("ops_low"), row.median("ops_high")
    return NONE if low is None or high is None else f"{low:.0f}..{high:.0f}"


def _short(value: float) -> str:
    """Write three significant digits without separators: two such numbers stand in one cell."""
    return measured(value).replace(",", "")
