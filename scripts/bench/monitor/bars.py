"""What watching may cost at most."""

from __future__ import annotations

from collections.abc import Iterator

from ..output import Bar
from .plan import BATCHES
from .result import Result

IN_REQUEST_US, OUTSIDE_US = 1.5, 0.3  # a query, against a plain cursor
JUDGED = (61, 5)  # queries of one request; of one query alone the request's own part is most of it
GROWN_MIB, TEXTS = 10.0, 1_000_000
LOST = 0.02  # of the shop's throughput


def judge(result: Result) -> list[Bar]:
    """Return every bar that this run can judge."""
    return [*_queries(result), *_memory(result), *_requests(result)]


def _queries(result: Result) -> Iterator[Bar]:
    for batch in JUDGED:
        cell = result.cell("cheap", batch)
        added = cell.added_us("request") if cell else None
        if added is not None:
            text = f"one of {batch} queries in a request, its line and the end included: below {IN_REQUEST_US} us"
            yield Bar(text, f"{added:+.2f} us", added < IN_REQUEST_US)
    cell = result.cell("cheap", BATCHES[-1])
    added = cell.added_us("outside") if cell else None
    if added is not None:
        yield Bar(f"a query outside a request: below {OUTSIDE_US} us", f"{added:+.2f} us", added < OUTSIDE_US)


def _memory(result: Result) -> Iterator[Bar]:
    if result.grown_bytes is not None:
        grown = result.grown_bytes / 2**20
        text = f"memory after {result.plan.texts:,} different statements: below {GROWN_MIB:g} MiB"
        yield Bar(text, f"{grown:.1f} MiB", grown < GROWN_MIB)


def _requests(result: Result) -> Iterator[Bar]:
    lost = result.lost()
    if lost is not None:
        yield Bar(f"the shop's throughput: less than {LOST:.0%} lost", f"{lost:.1%} lost", lost < LOST)
