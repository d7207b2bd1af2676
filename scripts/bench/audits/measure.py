"""Put people on one side of the shop and see what they, the server and the database had of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ...demo.counting import Observer
from ...demo.sides import DATABASE, ROLE, Sides
from ...errors import CommandError
from ...load import Measured, run_load
from ...load.serving import scenario_of
from ...load.site import parse_site
from ...load.watch import Watch
from ...top.service import Service

RAMP, WARM_UP, TIMEOUT = 5.0, 3.0, 30.0


@dataclass(frozen=True)
class Figures:
    """What one side did for so many users; latencies are seconds, None for too few answers.

    Attributes:
        queries: statements per answered request, counted by PostgreSQL.
        efficiency: share of the requests that needed no new connection at the database, 0 to 1.
        waited_in_vain: callers that got no connection from a pool; None without a pool.
        peak: most connections at the database at once.
        rss_mb: resident memory of the server's processes at the end; None where it cannot be seen.
    """

    side: str
    users: int
    rps: float
    p50: float | None
    p95: float | None
    p99: float | None
    answered: int
    failed: int
    error_kinds: dict[str, int]
    queries: float | None
    efficiency: float | None
    waited_in_vain: int | None
    peak: int
    rss_mb: float | None
    warnings: list[str]

    @property
    def error_share(self) -> float:
        """Failed requests of all, 0 to 1."""
        return self.failed / max(self.answered + self.failed, 1)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def measure(
    sides: Sides, side: str, users: int, seconds: float, token: str, tell: Callable[[float, float, str], None]
) -> tuple[Figures, Measured]:
    """Measure one side under so many users.

    Args:
        side: "shop" or "legacy".
        seconds: counted; a ramp and a warm-up come before it.
        token: of the shop's ops page.
        tell: shows progress: done, total, words.

    Raises:
        CommandError: the server died under the load.
    """
    web = sides.hardened if side == "shop" else sides.legacy
    site = parse_site(web.url)
    observer = Observer(sides.cluster, DATABASE, ROLE)
    observer.wait_until_quiet()
    total = RAMP + WARM_UP + seconds
    before = _waited(site, token) if side == "shop" else None
    with observer.counted() as counts, Watch(site, token if side == "shop" else "") as watch:
        measured = run_load(
            scenario_of(sides), site, users=users, seconds=seconds, ramp=RAMP, warmup=WARM_UP, timeout=TIMEOUT,
            look=watch.look, on_tick=lambda second: tell(second.t, total, f"{side}, {users} users"),
        )  # fmt: skip
    if not web.child.is_running():
        raise CommandError(f"{web.child.name} ended under {users} users: {web.child.last_line()}", web.child.log)
    # Counted by the database over ramp and warm-up too, so divided by what was answered in all of it.
    answers = sum(len(second.response) for second in measured.timeline)
    after = _waited(site, token) if side == "shop" else None
    memory = [value for second in measured.timeline if (value := second.seen.get("server_rss_mb")) is not None]
    figures = Figures(
        side, users, measured.rps, measured.percentile(50), measured.percentile(95), measured.percentile(99),
        measured.answered, measured.failed, dict(measured.errors),
        counts.statements / answers if answers else None,
        max(1 - counts.connections_opened / answers, 0.0) if answers else None,
        None if after is None or before is None else after - before,
        counts.connections_peak, memory[-1] if memory else None, measured.warnings(),
    )  # fmt: skip
    return figures, measured


def _waited(site: str, token: str) -> int:
    """Return how many callers waited in vain for a connection, over all pools of the service."""
    pools = Service(site, token).ask_once().get("pools", [])
    return sum(int(pool.get("timeouts") or 0) for pool in pools)
