"""Whole requests under Gunicorn, against the ideal: an empty Flask route and then PostgreSQL, nothing else.

The ideal is 1 / (1 / empty + 1 / pgbench): both share the processors, as they do in a real request. Every server
is under the same load from the same client, one after the other in each round; each round has an ideal of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

from backend.shop.queries import CUSTOMER_WITH_APPOINTMENTS

from ...demo.seed import COHORT
from ...errors import CommandError
from ...load import LoadError, Request, Workload, run_closed
from ...progress import Progress
from ...stack import Stack
from ...stack.web import Web
from ..spread import Spread, spread
from .methods import function_ddl
from .pgbench import PgBench, find_pgbench
from .plan import Plan
from .shop import DATABASE, ROLE, Shop
from .worker import drawn

THREADS = 8  # of a worker, the default of the setting
NO_RESTARTS = ("--max-requests", "0")  # workers that are replaced take time from whoever is measured just then
SHOP = "/api/admin/customers/{}?include=appointmentDetails"  # its own route, which calls the function
STATEMENT = "/bench/statement/{}"


@dataclass(frozen=True)
class Served:
    """One line of the table: what it is called, which server, which path; `{}` is a customer's id."""

    key: str
    label: str
    server: str
    path: str

    @property
    def is_ours(self) -> bool:
        """Whether it is how the project answers."""
        return self.key not in ("empty", "parsed")


SERVED = (
    Served("empty", "empty Flask route", "bare", "/empty"),
    Served("direct", "ours, planned each time", "direct", STATEMENT),
    Served("kept", "ours, kept plan", "kept", STATEMENT),
    Served("function", "ours, SQL function", "kept", SHOP),
    Served("bouncer", "ours, PgBouncer", "bouncer", STATEMENT),
    Served("bouncer-function", "ours, PgBouncer, function", "bouncer", SHOP),
    Served("parsed", "parsed and written again", "direct", "/bench/parsed/{}"),
)
PGBENCH = "pgbench"


@dataclass
class Requests:
    """What came out.

    Attributes:
        rates: requests a second by key, `pgbench` included.
        ideal: of each round.
        shares: by key, of each round's ideal.
        left_out: by label, why.
    """

    rates: dict[str, Spread] = field(default_factory=dict)
    ideal: Spread | None = None
    shares: dict[str, Spread] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class Requesting:
    """One run of the requests.

    Args:
        stack: for the servers.
        shop: with its rows.
        plan: how much.
        progress: told how far it is.
    """

    def __init__(self, stack: Stack, shop: Shop, plan: Plan, progress: Progress) -> None:
        self._stack = stack
        self._shop = shop
        self._plan = plan
        self._progress = progress
        self._workers = max(2, len(os.sched_getaffinity(0)))
        self._left_out: dict[str, str] = {}

    def measure(self) -> Requests:
        """Start the servers, load each in turn, and return the rates.

        Raises:
            CommandError: a server did not start, or did not answer.
        """
        program = find_pgbench(self._stack.binaries)
        webs = self._start(self._prepare())
        steps: dict[str, Callable[[], float]] = {
            served.key: self._step(webs[served.server], served) for served in SERVED if served.server in webs
        }
        if program is None:
            self._left_out[PGBENCH] = "it is not beside the server's programs; without it there is no ideal"
        else:
            steps[PGBENCH] = self._pgbench(program)
        for web in webs.values():
            web.wait_until_ready()
        try:
            rates = self._rounds(steps)
        finally:
            with ThreadPoolExecutor() as together:  # each lets its connections go first, which takes a second
                list(together.map(Web.stop, webs.values()))
        return _summed_up(rates, self._left_out)

    def _prepare(self) -> int:
        """Make the function, and return how long a body is."""
        with closing(psycopg2.connect(self._shop.dsn)) as conn, conn, conn.cursor() as cursor:
            cursor.execute(function_ddl())
            return len(CUSTOMER_WITH_APPOINTMENTS.json(conn, id=1) or b"")

    def _start(self, body_bytes: int) -> dict[str, Web]:
        cluster = self._shop.cluster
        common = {"WORKERS": str(self._workers), "THREADS": str(THREADS), "BENCH_BODY_BYTES": str(body_bytes)}
        direct = {**common, "DATABASE_URL": cluster.url(DATABASE, ROLE)}
        webs = {
            "bare": self._gunicorn("bare", direct),
            "direct": self._gunicorn("direct", {**direct, "DB_POOL_KEPT_PLANS": "0"}),
            "kept": self._gunicorn("kept", direct),
        }
        bouncer = self._stack.pgbouncer(cluster, [DATABASE], [ROLE], name="pgbouncer-requests")
        if bouncer is None:
            self._left_out["requests through PgBouncer"] = "PgBouncer is not installed"
            return webs
        through = {**common, "DATABASE_URL": bouncer.url(DATABASE, ROLE), "DB_PGBOUNCER": "transaction"}
        return {**webs, "bouncer": self._gunicorn("bouncer", through)}

    def _gunicorn(self, name: str, environ: Mapping[str, str]) -> Web:
        module = "bare" if name == "bare" else "shop"
        app = f"scripts.bench.queries.served.{module}:application"
        return self._stack.gunicorn(environ, name=f"bench-{name}", app=app, options=NO_RESTARTS)

    def _step(self, web: Web, served: Served) -> Callable[[], float]:
        paths = dict.fromkeys(served.path.format(number) for number in range(1, COHORT + 1))
        workload = Workload(web.url, [Request(path) for path in paths])

        warm_ups = iter([self._plan.http_warm_up])

        def load() -> float:
            warm_up = next(warm_ups, self._plan.http_warm_up / 5)
            try:
                result = run_closed(workload, self._plan.users, self._plan.http_seconds, warmup_seconds=warm_up)
            except LoadError as error:
                raise CommandError(f"the load generator failed: {error}") from None
            if result.failed:
                raise CommandError(f"{served.label}: {result.failed} requests failed: {dict(result.errors)}")
            return result.rps

        return load

    def _pgbench(self, program: Path) -> Callable[[], float]:
        statement = CUSTOMER_WITH_APPOINTMENTS.sql
        bench = PgBench(program, self._stack.run, self._shop.dsn, statement, (1, COHORT))
        connections = self._workers * THREADS  # as many as the pools have
        return lambda: bench.rate(self._plan.http_seconds, connections, self._workers)

    def _rounds(self, steps: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
        rates: dict[str, list[float]] = {key: [] for key in steps}
        keys = list(steps)
        labels = {served.key: served.label for served in SERVED}
        for number in range(self._plan.http_rounds):
            for done, key in enumerate(drawn(keys, number)):
                text = f"requests: {labels.get(key, key)}"
                self._progress.bar(number + done / len(keys), self._plan.http_rounds, text)
                rates[key].append(steps[key]())
        self._progress.clear()
        return rates


def _summed_up(rates: Mapping[str, list[float]], left_out: dict[str, str]) -> Requests:
    found = Requests({key: spread(values) for key, values in rates.items()}, left_out=left_out)
    if PGBENCH not in rates:
        return found
    pairs = zip(rates["empty"], rates[PGBENCH], strict=True)
    ideals = [1 / (1 / empty + 1 / queries) for empty, queries in pairs]
    found.ideal = spread(ideals)
    for key, values in rates.items():
        if key not in ("empty", PGBENCH):
            found.shares[key] = spread([rate / ideal for rate, ideal in zip(values, ideals, strict=True)])
    return found
