"""What came out of a run, and all that says how far to trust it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..noise import Noise
from ..output import Bar
from .plan import BATCHES, Plan

BASE, LEASE = "plain", "lease"
Samples = Mapping[str, Sequence[float]]  # by way, nanoseconds of a query, one a round


@dataclass(frozen=True)
class Cell:
    """One statement in batches of one size.

    Attributes:
        statement: a key of STATEMENTS.
        batch: queries of one request.
        samples: by way; those of one place in the lists are of the same round.
    """

    statement: str
    batch: int
    samples: Samples

    def base_us(self) -> float:
        """Return the microseconds of processor time of a plain query."""
        return statistics.median(self.samples[BASE]) / 1000

    def added_us(self, key: str, to: str = BASE) -> float | None:
        """Return what a way adds to another: the median of the rounds' own differences; microseconds a query."""
        if key not in self.samples or to not in self.samples:
            return None
        pairs = zip(self.samples[key], self.samples[to], strict=True)
        return statistics.median(found - base for found, base in pairs) / 1000


@dataclass(frozen=True)
class Result:
    """A whole run.

    Attributes:
        date, command, machine, versions, noise: when, how, on what, and how quiet it was.
        plan: how much was measured.
        cells: of the queries.
        wrapper: nanoseconds that watching adds to a call that does nothing, by "outside" and "request".
        grown_bytes: of a process after the plan's number of different statements; None when not measured.
        rates: requests a second by round, "watched" and "unwatched".
    """

    date: str
    command: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    plan: Plan
    noise: Noise
    cells: tuple[Cell, ...] = ()
    wrapper: Samples = field(default_factory=dict)
    grown_bytes: int | None = None
    rates: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def cell(self, statement: str, batch: int) -> Cell | None:
        """Return what was measured of a statement in batches of one size."""
        return next((cell for cell in self.cells if (cell.statement, cell.batch) == (statement, batch)), None)

    def of_each_query(self, statement: str) -> tuple[float, float] | None:
        """Return what watching adds to each query of a request, and to a request itself, in microseconds.

        A request of few queries and one of many: the line through both.
        """
        few, many = (self.cell(statement, batch) for batch in BATCHES[-2:])
        added = [cell.added_us("request", LEASE) if cell else None for cell in (few, many)]
        if few is None or many is None or added[0] is None or added[1] is None:
            return None
        whole_few, whole_many = few.batch * added[0], many.batch * added[1]
        each = (whole_many - whole_few) / (many.batch - few.batch)
        return each, whole_few - few.batch * each

    def lost(self) -> float | None:
        """Return the share of throughput that watching takes: the median of the rounds' own."""
        if not self.rates:
            return None
        pairs = zip(self.rates["watched"], self.rates["unwatched"], strict=True)
        return 1 - statistics.median(watched / unwatched for watched, unwatched in pairs)


def render_json(result: Result, bars: Sequence[Bar]) -> str:
    """Return the whole run as JSON, each sample included."""
    document = asdict(result)
    document["noise"]["verdict"] = result.noise.verdict()
    document["bars"] = [asdict(bar) for bar in bars]
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
