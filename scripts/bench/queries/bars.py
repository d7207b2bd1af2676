"""What ours has to reach, each against something of the same run; without its other side a bar is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...demo.report.figures import measured, ratio
from ..output import Bar
from .listing import Exported
from .methods import BY_KEY
from .plan import USUAL, way_label
from .requests import SERVED
from .result import Result

# Slower by so much, at USUAL children, than ours as an app asks: on a lease from the pool, which keeps the plan.
# N+1 is held against us without its connect per call, which would double its time on a socket.
SLOWER = (
    ("n-plus-1", "socket", 8.0),
    ("n-plus-1", "0.5ms", 15.0),
    ("n-plus-1", "2ms", 25.0),
    ("selectinload", "socket", 5.0),
)

# Of the ideal of the same round, planned by the simple protocol.
SHARES = (("direct", 0.9), ("bouncer", 0.85), ("bouncer-function", 0.85), ("kept", 1.1))

DEEP = 1.5  # times page 1
DEPTH = 200_000  # rows; nearer to the front it proves nothing
EXPORT, EXPORT_MIB, FIRST_MS = 1.3, 5.0, 50.0  # times COPY; beyond an idle process


def judge(result: Result) -> list[Bar]:
    """Return every bar that this run can judge."""
    return [*_statements(result), *_faster(result), *_ahead(result), *_shares(result), *_lists(result)]


def _statements(result: Result) -> Iterator[Bar]:
    asked = result.profiles.asked.get("ours", {}) if result.profiles else {}
    if asked:
        numbers = ", ".join(f"{number:,}" for number in asked)
        most = max(found.statements for found in asked.values())
        yield Bar(f"statements at N = {numbers}: 1, counted by the server", f"{most}", most == 1)


def _faster(result: Result) -> Iterator[Bar]:
    for key, way, limit in SLOWER:
        found, planned = (result.ratio(key, way, USUAL, to) for to in ("ours-kept", "ours"))
        if found is not None:
            text = f"{way_label(way)}, N = {USUAL}: at least {limit:g} times faster than {BY_KEY[key].label}"
            yield Bar(text, f"{ratio(found)} ({ratio(planned)} planned anew)", found >= limit)


def _ahead(result: Result) -> Iterator[Bar]:
    mine, theirs = result.ms("ours-kept", "socket", USUAL), result.ms("psycopg3", "socket", USUAL)
    if mine is not None and theirs is not None:
        text = f"socket, N = {USUAL}: with a kept plan ahead of psycopg 3 with its own"
        yield Bar(text, f"{measured(mine)} ms against {measured(theirs)} ms", mine < theirs)


def _shares(result: Result) -> Iterator[Bar]:
    shares = result.requests.shares if result.requests else {}
    labels = {served.key: served.label for served in SERVED}
    for key, least in SHARES:
        if key in shares:
            found = shares[key].median
            text = f"requests, {labels[key]}: at least {least * 100:.0f} % of the ideal"
            yield Bar(text, f"{found * 100:.0f} %", found >= least)


def _lists(result: Result) -> Iterator[Bar]:
    pages = result.lists.pages if result.lists else {}
    if pages and result.plan.depth >= DEPTH:
        found = pages["cursor-deep"].median / pages["cursor-first"].median
        text = f"the page at row {result.plan.depth:,} by cursor: less than {DEEP:g} times page 1"
        yield Bar(text, ratio(found), found < DEEP)
    for rows, ways in (result.lists.exports if result.lists else {}).items():
        yield from _export(rows, ways)


def _export(rows: int, ways: Mapping[str, Exported]) -> Iterator[Bar]:
    ours, named = ways["ours"], f"{rows:,} rows as CSV"
    found = ours.seconds.median / ways["copy"].seconds.median
    yield Bar(f"{named}: at most {EXPORT:g} times COPY", ratio(found), found <= EXPORT)
    most = ours.mib.high
    yield Bar(f"{named}: within {EXPORT_MIB:g} MiB of idle", f"{measured(most)} MiB", most <= EXPORT_MIB)
    first = ours.first_ms.median
    yield Bar(f"{named}: first byte within {FIRST_MS:g} ms", f"{measured(first)} ms", first < FIRST_MS)
