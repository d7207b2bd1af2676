"""The order of the profiles' measurement: are they equal, what do they ask, how long do they take.

First of all every method answers for every number of children, and the answers are compared; the server counts the
statements of each, a proxy the round trips and bytes. Then, way by way to the server, the rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from ...errors import CommandError
from ...progress import Progress
from ...stack import Stack
from ..session import Worker, WorkerError
from ..spread import Spread, spread
from .delay import DelayProxy
from .methods import BY_KEY, Method
from .plan import Plan, network_ms, way_label
from .shop import DATABASE, ROLE, Shop

WORKER = "scripts.bench.queries.worker"
WARM_UPS = 12  # both drivers and PostgreSQL keep a plan after five calls
WARM = 3  # children of the customer for it: some, so that all statements are sent, and few
TUNINGS = 3
LONGEST = 900.0  # seconds for one job; 2,000 children by 6,001 statements take a while on a slow machine


@dataclass(frozen=True)
class Cell:
    """One number of children over one way: the milliseconds of each method's calls."""

    way: str
    children: int
    ms: Mapping[str, Spread]


@dataclass(frozen=True)
class Asked:
    """What one profile takes of one method: statements, round trips, KiB from the server, KiB of the body."""

    statements: int
    round_trips: int
    received_kib: float
    body_kib: float


@dataclass
class Profiles:
    """What came out.

    Attributes:
        cells: in the order of the plan.
        asked: by method and number of children.
        added_ms: by way, how much longer the smallest query took than over TCP.
        plans: by way, the plans that each method's connection kept after it was warmed up.
        left_out: by label, why.
        versions: of the packages.
    """

    cells: list[Cell] = field(default_factory=list)
    asked: dict[str, dict[int, Asked]] = field(default_factory=dict)
    added_ms: dict[str, float] = field(default_factory=dict)
    plans: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def cell(self, way: str, children: int) -> Cell | None:
        """Return one cell, if it was measured."""
        return next((cell for cell in self.cells if (cell.way, cell.children) == (way, children)), None)


class Measurement:
    """One run of the profiles.

    Args:
        stack: for PgBouncer.
        shop: with its rows.
        plan: how much.
        python: the interpreter that has the methods' packages.
        progress: told how far it is.
    """

    def __init__(self, stack: Stack, shop: Shop, plan: Plan, python: str, progress: Progress) -> None:
        self._stack = stack
        self._shop = shop
        self._plan = plan
        self._progress = progress
        self._worker = Worker(python, WORKER, "profiles", {"dsn": shop.dsn}, stack.run)
        self._keys: list[str] = []
        self.found = Profiles()

    def measure(self, methods: Sequence[Method]) -> Profiles:
        """Measure the methods; one that cannot be opened is left out with its reason.

        Raises:
            CommandError: two methods answer differently, or the process that measures failed.
        """
        self._keys = [method.key for method in methods]
        customers = {number: self._shop.customer(number) for number in self._plan.children}
        with self._worker:
            try:
                self.found.versions = self._worker.ask("hello")["versions"]
                self._worker.ask("function")
                self._compare(customers)
                self._time(customers)
            except WorkerError as error:
                raise CommandError(f"the profiles could not be measured: {error}") from None
        self._progress.clear()
        return self.found

    def _compare(self, customers: Mapping[int, int]) -> None:
        with DelayProxy(self._shop.cluster.port, 0.0) as proxy:
            self._open(self._shop.dsn_by(port=proxy.port), shared=False)
            self._warm(2)
            for done, (number, customer_id) in enumerate(customers.items()):
                self._progress.bar(done, len(customers), f"comparing the answers of {number} children")
                for key in self._keys:
                    asked = self._asked(key, customer_id, number, proxy)
                    self.found.asked.setdefault(key, {})[number] = asked

    def _asked(self, key: str, customer_id: int, number: int, proxy: DelayProxy) -> Asked:
        before, answer = proxy.traffic, {}

        def ask() -> None:
            answer.update(self._worker.ask("answer", LONGEST, key=key, customer_id=customer_id))

        statements = self._shop.counted(ask)
        if answer["difference"]:
            raise CommandError(
                f"{BY_KEY[key].label} answers something else than ours for {number} children: "
                f"{answer['difference']} (ours first); methods that differ cannot be compared"
            )
        traffic = proxy.traffic.since(before)
        return Asked(statements, traffic.round_trips, traffic.received / 1024, answer["bytes"] / 1024)

    def _open(self, dsn: str, shared: bool) -> None:
        failed = self._worker.ask("open", LONGEST, keys=self._keys, dsn=dsn, shared=shared)["failed"]
        for key, reason in failed.items():
            self.found.left_out[BY_KEY[key].label] = reason
            self._keys.remove(key)
        if "ours" not in self._keys:
            raise CommandError(f"our own profile could not be measured: {failed['ours']}")

    def _time(self, customers: Mapping[int, int]) -> None:
        cells = self._plan.cells()
        for way in dict.fromkeys(way for way, _ in cells):
            numbers = [number for other, number in cells if other == way]
            with ExitStack() as ending:
                dsn = self._dsn(way, ending)
                if dsn is None:
                    self.found.left_out[way_label(way)] = "PgBouncer is not installed"
                    continue
                self._open(dsn, shared=way == "pgbouncer")
                self.found.plans[way] = self._warm(WARM_UPS)
                for number in numbers:
                    done = cells.index((way, number))
                    self._progress.bar(done, len(cells), f"{number} children, {way_label(way)}")
                    self._cell(way, number, customers[number])

    def _dsn(self, way: str, ending: ExitStack) -> str | None:
        milliseconds = network_ms(way)
        if milliseconds is not None:
            proxy = ending.enter_context(DelayProxy(self._shop.cluster.port, milliseconds / 2000))
            dsn = self._shop.dsn_by(port=proxy.port)
            self.found.added_ms[way] = self._tune(proxy, dsn, milliseconds)
            return dsn
        if way == "socket":
            return self._shop.dsn_by(host=self._shop.cluster.socket_folder)
        if way == "tcp":
            return self._shop.dsn
        bouncer = self._stack.pgbouncer(self._shop.cluster, [DATABASE], [ROLE])
        return self._shop.dsn_by(port=bouncer.port) if bouncer else None

    def _warm(self, times: int) -> dict[str, int]:
        """Have every method ask some times; returns the plans that its connection keeps then."""
        answer = self._worker.ask("warm", LONGEST, customer_id=self._shop.customer(WARM), times=times)
        plans: dict[str, int] = answer["plans"]
        return plans

    def _tune(self, proxy: DelayProxy, dsn: str, milliseconds: float) -> float:
        """Have the proxy hold bytes for less by what it takes itself; returns the milliseconds it adds then."""
        base = self._ping(self._shop.dsn)
        for _ in range(TUNINGS):
            too_much = self._ping(dsn) - base - milliseconds
            proxy.one_way = max(proxy.one_way - too_much / 2000, 0.0)
        return self._ping(dsn) - base

    def _ping(self, dsn: str) -> float:
        return float(self._worker.ask("ping", dsn=dsn)["ms"])

    def _cell(self, way: str, number: int, customer_id: int) -> None:
        arguments: dict[str, Any] = {"customer_id": customer_id, "seconds": self._plan.seconds}
        calls = self._worker.ask("rounds", LONGEST, most=self._plan.rounds, **arguments)["ms"]
        figures = {key: spread(values) for key, values in calls.items()}
        self.found.cells.append(Cell(way, number, figures))
