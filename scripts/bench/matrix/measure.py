"""Measure one cell: start its server, warm it, load it, count what the database saw, stop it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...demo.counting import Observer
from ...errors import CommandError
from ...load import LoadError, Request, Workload, run_closed
from ...stack import Stack
from ...stack.bouncer import Bouncer
from ...stack.postgres import Cluster
from ...stack.web import Web
from ..queries.shop import DATABASE, ROLE
from .configs import Config

APP = Path(__file__).resolve().parent / "served" / "matrix_app.py"
COHORT = 50  # customers with the same number of appointments
WARM_UP = 0.7
DRAIN = 30.0


@dataclass(frozen=True)
class Cell:
    """What one cell reached; latencies are milliseconds.

    Attributes:
        queries: statements per answered request, as PostgreSQL counted them; None without an answer.
        opened: connections opened while it was loaded.
        lowest, highest: requests per second of the rounds, where there were several; the rest is then of the
            middle one, and requests and errors of all together.
    """

    server: str
    pool: str
    path: str
    queries_by: str
    rps: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    errors: int
    requests: int
    error_kinds: dict[str, int]
    queries: float | None
    opened: int
    peak: int
    lowest: float | None = None
    highest: float | None = None

    @property
    def config(self) -> Config:
        """Which cell it is."""
        return Config(self.server, self.pool, self.path, self.queries_by)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def middle(rounds: Sequence[Cell]) -> Cell:
    """Return one cell of several rounds of a configuration: the one in the middle, with all their errors."""
    ordered = sorted(rounds, key=lambda cell: cell.rps)
    kinds: Counter[str] = Counter()
    for cell in ordered:
        kinds.update(cell.error_kinds)
    return replace(
        ordered[(len(ordered) - 1) // 2], lowest=ordered[0].rps, highest=ordered[-1].rps,
        errors=sum(cell.errors for cell in ordered), requests=sum(cell.requests for cell in ordered),
        error_kinds=dict(kinds),
    )  # fmt: skip


class Bench:
    """Measures cells on one cluster.

    Args:
        bouncers: by pool mode; a mode that is missing cannot be measured.
        users: requests in flight.
        seconds: of each cell.
    """

    def __init__(
        self, stack: Stack, cluster: Cluster, bouncers: dict[str, Bouncer], users: int, seconds: float
    ) -> None:
        self._stack = stack
        self._cluster = cluster
        self._bouncers = bouncers
        self._users, self._seconds = users, seconds
        self._observer = Observer(cluster, DATABASE, ROLE)
        self._number = 0

    def measure(self, config: Config) -> Cell:
        """Measure a cell.

        Raises:
            CommandError: its server did not come up.
        """
        web = self._start(config)
        try:
            paths = (f"/api/admin/customers/{n}?include=appointmentDetails" for n in range(1, COHORT + 1))
            workload = Workload(web.url, [Request(path) for path in paths])
            run_closed(workload, min(self._users, 8), WARM_UP, drain_timeout=DRAIN)
            self._observer.wait_until_quiet()
            with self._observer.counted() as counts:
                result = run_closed(workload, self._users, self._seconds, drain_timeout=DRAIN)
        except LoadError as error:
            raise CommandError(f"the load generator failed at {config.name}: {error}") from None
        finally:
            web.stop()
        told = result.as_dict()
        return Cell(
            config.server, config.pool, config.path, config.queries, told["rps"], told["p50_ms"], told["p95_ms"],
            told["p99_ms"], result.failed, result.requests, dict(result.errors),
            counts.statements / result.answered if result.answered else None,
            counts.connections_opened, counts.connections_peak,
        )  # fmt: skip

    def _start(self, config: Config) -> Web:
        self._number += 1
        bouncer = self._bouncers.get(config.path)
        environ = {
            "DATABASE_URL": bouncer.url(DATABASE, ROLE) if bouncer else self._cluster.url(DATABASE, ROLE),
            "DB_PGBOUNCER": config.path if bouncer else "off",
            "MATRIX_POOL": config.pool, "MATRIX_QUERIES": config.queries, "MATRIX_SIZE": str(config.pool_size),
            "WORKERS": "2", "THREADS": "4", "SHOP_TOKEN_KEY": "of no matter here",
        }  # fmt: skip
        name = f"{config.server}-{self._number}"
        if config.server == "dev":
            return self._stack.flask(APP, environ, name, "/livez")
        options = config.gunicorn
        web = self._stack.gunicorn(environ, name=name, options=options, cwd=APP.parent, app="matrix_app:app")
        web.wait_until_ready()
        return web
