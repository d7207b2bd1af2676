"""The order of the lists' measurement: tables of rows, a page deep in one, and exports in fresh processes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import CommandError
from ...progress import Progress
from ...stack import Stack
from ..session import Worker, WorkerError
from ..spread import Spread, spread
from .plan import Plan
from .shop import Shop

WORKER = "scripts.bench.queries.lists"
LONGEST = 900.0  # seconds for one job
BEYOND = 50_000  # rows behind the deep page
MOST_FETCHED = 500_000  # rows of a fetchall: 2,000,000 take gigabytes
WAYS = {"copy": "COPY itself", "ours": "ours, stream_csv", "fetchall": "fetchall and csv"}
PAGES = {
    "cursor-first": "page 1 by cursor",
    "cursor-deep": "row {:,} by cursor",
    "offset-first": "page 1 by OFFSET",
    "offset-deep": "row {:,} by OFFSET",
}


@dataclass(frozen=True)
class Exported:
    """One way to one number of rows."""

    seconds: Spread
    first_ms: Spread
    mib: Spread


@dataclass
class Lists:
    """What came out.

    Attributes:
        pages: milliseconds by the keys of PAGES.
        exports: by number of rows and by way.
        left_out: by label, why.
    """

    pages: dict[str, Spread] = field(default_factory=dict)
    exports: dict[int, dict[str, Exported]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class Listing:
    """One run of the lists.

    Args:
        stack: for the folder of the run.
        shop: whose database has room for more tables.
        plan: how much.
        progress: told how far it is.
    """

    def __init__(self, stack: Stack, shop: Shop, plan: Plan, progress: Progress) -> None:
        self._stack = stack
        self._shop = shop
        self._plan = plan
        self._progress = progress
        self.found = Lists()

    def measure(self) -> Lists:
        """Measure the lists that the plan names.

        Raises:
            CommandError: a process that measures failed, or two ways gave different rows.
        """
        try:
            if "pages" in self._plan.parts:
                self._pages()
            if "exports" in self._plan.parts:
                for rows in self._plan.exports:
                    self._exports(rows)
        except WorkerError as error:
            raise CommandError(f"the lists could not be measured: {error}") from None
        self._progress.clear()
        return self.found

    def _pages(self) -> None:
        self._progress.bar(0, 1, f"a page at row {self._plan.depth:,}")
        self._shop.make_items(self._plan.depth + BEYOND)
        setup = {"dsn": self._shop.dsn, "depth": self._plan.depth}
        with Worker(sys.executable, WORKER, "pages", setup, self._stack.run) as worker:
            worker.ask("rounds", LONGEST, rounds=3)
            calls = worker.ask("rounds", LONGEST, rounds=self._plan.page_rounds)["ms"]
        self.found.pages = {key: spread(values) for key, values in calls.items()}

    def _exports(self, rows: int) -> None:
        table = self._shop.make_messages(rows)
        ways = [way for way in WAYS if way != "fetchall" or rows <= MOST_FETCHED]
        figures: dict[str, list[Mapping[str, float]]] = {way: [] for way in ways}
        for number in range(self._plan.export_rounds):
            start = number % len(ways)
            for done, way in enumerate((*ways[start:], *ways[:start])):
                text = f"{rows:,} rows as CSV: {WAYS[way]}"
                self._progress.bar(number + done / len(ways), self._plan.export_rounds, text)
                figures[way].append(self._export(way, table, rows))
        self.found.exports[rows] = {
            way: Exported(*(spread([figure[name] for figure in found]) for name in ("seconds", "first_ms", "mib")))
            for way, found in figures.items()
        }

    def _export(self, way: str, table: str, rows: int) -> Mapping[str, float]:
        with Worker(sys.executable, WORKER, "export", {"dsn": self._shop.dsn}, self._stack.run) as worker:
            figures = worker.ask("export", LONGEST, way=way, table=table)
        if figures["lines"] != rows + 1:
            raise CommandError(f"{WAYS[way]} wrote {figures['lines']:,} lines for {rows:,} rows and a header")
        return figures
