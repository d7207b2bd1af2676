"""What watching may cost at most."""

from __future__ import annotations

from collections.abc import Iterator

from ..output import Bar
from .plan import BATCHES
from .result import LEASE, Result

IN_REQUEST_US, OUTSIDE_US = 1.5, 0.3  # a query of a lease, watched against not watched
GROWN_MIB, TEXTS = 10.0, 1_000_000
LOST = 0.02  # of the shop's throughput


def judge(result: Result) -> list[Bar]:
    """Return every bar that this run can judge."""
    return [*_queries(result), *_memory(result), *_requests(result)]


def _queries(result: Result) -> Iterator[Bar]:
    found = result.of_each_query("cheap")
    if found is not None:
        text = f"each query of a request, its line and its share of the end: below {IN_REQUEST_US} us"
        yield Bar(text, f"{found[0]:+.2f} us", found[0] < IN_REQUEST_US)
    cell = result.cell("cheap", BATCHES[-1])
    added = cell.added_us("outside", LEASE) if cell else None
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
