"""The text table of a terminal: one row per route and users, both sides beside each other."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from .figures import NONE, counted, measured, percent, ratio
from .model import Pair, Report, Run
from .reading import find

WIDTH = 110
LONGEST_ROUTE = 15

# Title, and the width of each column with its name. Route and users stand before them.
GROUPS: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = (
    ("requests per second", (("legacy", 7), ("hardened", 9), ("gain", 8))),
    ("p50 ms", (("legacy", 7), ("hardened", 9))),
    ("p95 ms", (("legacy", 7), ("hardened", 9), ("gain", 8))),
    ("errors", (("legacy", 7), ("hardened", 9))),
)


def render_table(report: Report) -> str:
    """Return the table and then one line per finding, at most 110 columns wide."""
    names = max(len("route"), *(len(_short(route)) for route in report.routes))
    lines = [_titles(names), _rules(names)]
    lines.append(_join("route".ljust(names) + "users".rjust(7), _names()))
    lines += [
        _join(_short(pair.route).ljust(names) + counted(pair.users).rjust(7), _cells(pair))
        for pair in report.pairs
    ]
    lines.append("")
    lines.append("gain: requests per second hardened / legacy, p95 legacy / hardened; above 1 is better")
    for finding in find(report):
        lines += textwrap.wrap(f"{finding.subject}: {finding.text}", WIDTH, subsequent_indent="  ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _short(route: str) -> str:
    return route if len(route) <= LONGEST_ROUTE else route[: LONGEST_ROUTE - 3] + "..."


def _titles(names: int) -> str:
    return _join(
        " " * (names + 7),
        [["  " + title.center(sum(width for _, width in columns) - 2)] for title, columns in GROUPS],
    )


def _rules(names: int) -> str:
    return _join(
        " " * (names + 7), [["  " + "-" * (sum(width for _, width in columns) - 2)] for _, columns in GROUPS]
    )


def _names() -> list[list[str]]:
    return [[name.rjust(width) for name, width in columns] for _, columns in GROUPS]


def _cells(pair: Pair) -> list[list[str]]:
    legacy, hardened = pair.legacy, pair.hardened
    values = (
        (_cell(legacy, "rps"), _cell(hardened, "rps"), ratio(pair.throughput_gain)),
        (_cell(legacy, "p50_ms"), _cell(hardened, "p50_ms")),
        (_cell(legacy, "p95_ms"), _cell(hardened, "p95_ms"), ratio(pair.p95_gain)),
        (_errors(legacy), _errors(hardened)),
    )
    return [
        [value.rjust(width) for value, (_, width) in zip(group, columns, strict=True)]
        for group, (_, columns) in zip(values, GROUPS, strict=True)
    ]


def _join(head: str, groups: Sequence[Sequence[str]]) -> str:
    return "  ".join([head, *("".join(group) for group in groups)])


def _cell(run: Run | None, name: str) -> str:
    return measured(getattr(run, name)) if run else NONE


def _errors(run: Run | None) -> str:
    return percent(run.error_share) if run else NONE
