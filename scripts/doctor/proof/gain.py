"""What an index brings to its statements, and whether that pays for its writes.

All in the planner's units, in which a page read in order is 1. An index that is not read often enough to pay for
being written is not advised. If this is wrong, advice makes a database slower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..catalog import Table
from ..workload.proposals import Proposal
from . import copied, hypothetical

if TYPE_CHECKING:
    from ..target import Target

# Planner's units for one row more in a B-tree: each index made inserting 200,000 rows 2.2 to 2.8 us a row slower,
# where a unit of reading in order took 3.0 us (PostgreSQL 15, all in memory).
WRITE_COST = 1.0
ENTRY = 20  # bytes of an index entry besides its keys: item pointer, header, alignment
LEAST_TIMES = 2.0  # cheaper, or it is not worth an index


@dataclass(frozen=True)
class Gain:
    """What one proposal brings.

    Attributes:
        before, after: Cost of the statement that gains most, in the planner's units.
        size_bytes: Of the index.
        by: "HypoPG", "a copy with generated rows" or "estimate".
        writes: Rows written to the table since the counters began.
        calls: Of its statements, in the same time; -1 when nobody counted.
    """

    before: float
    after: float
    size_bytes: float
    by: str
    writes: int
    calls: int

    @property
    def times(self) -> float:
        """How many times cheaper the statement is."""
        return self.before / max(self.after, 0.01)

    @property
    def pays(self) -> bool:
        """Whether the reads that are saved are worth more than the writes that are added."""
        if self.times < LEAST_TIMES:
            return False
        return self.calls < 0 or self.calls * (self.before - self.after) > self.writes * WRITE_COST


def gains(target: Target, proposals: Sequence[Proposal]) -> dict[int, Gain]:
    """Return the gain of each proposal, by its place in the list.

    Raises:
        NotSeen, Lost: the planner cannot be asked.
    """
    prove = target.options.prove
    costs: dict[int, tuple[float, float]] = {}
    by = "estimate"
    if prove in ("auto", "hypopg") and "hypopg" in target.server.extensions:
        costs, by = hypothetical.costs(target, proposals), "HypoPG"
    elif prove in ("auto", "copy"):
        costs, by = copied.costs(target, proposals), "a copy with generated rows"
    return {number: _gain(target, each, costs.get(number), by) for number, each in enumerate(proposals)}


def _gain(target: Target, proposal: Proposal, costs: tuple[float, float] | None, by: str) -> Gain:
    counted = target.catalog.counted(proposal.table.oid)
    writes = counted.inserts + counted.updates + counted.deletes
    before, after = costs or (whole_read(target, proposal.table), _lookup(target, proposal.table))
    calls = proposal.calls if any(each.calls for each in proposal.asked) else -1
    return Gain(before, after, index_bytes(proposal), by if costs else "estimate", writes, calls)


def whole_read(target: Target, table: Table) -> float:
    """Return the cost of reading a table from end to end, as the planner works it out."""
    amount = target.server.amount
    rows = max(table.rows, 0)
    return table.pages * amount("seq_page_cost") + rows * (amount("cpu_tuple_cost") + amount("cpu_operator_cost"))


def _lookup(target: Target, table: Table) -> float:
    """Return the cost of finding a few rows by a B-tree: its depth, and a page for each."""
    amount = target.server.amount
    depth = math.log2(max(table.rows, 2)) * amount("cpu_operator_cost")
    return depth + 4 * amount("random_page_cost")


def index_bytes(proposal: Proposal) -> float:
    """Return about how much room an index takes, at a fill of 90 %."""
    rows = max(proposal.table.rows, 0)
    return rows * (ENTRY + 8 * len(proposal.keys)) / 0.9
