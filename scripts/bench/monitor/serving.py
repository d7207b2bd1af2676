"""The shop under load, watched and not, in turn: both run all the time, one of them under load.

Two servers that are the same differ by a few per cent for as long as they live, so there are several pairs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ...demo.seed import COHORT
from ...errors import CommandError
from ...load import LoadError, Request, Workload, run_closed
from ...progress import Progress
from ...stack import Stack
from ...stack.web import Web
from ..queries.shop import DATABASE, ROLE, Shop
from ..queries.worker import drawn
from .plan import Plan

THREADS = 8
NO_RESTARTS = ("--max-requests", "0")
PATHS = ("/api/vehicles/{}", "/api/customers/{}/history", "/api/admin/customers/{}?include=appointmentDetails")
WATCHED, UNWATCHED = "watched", "unwatched"


def measure_requests(stack: Stack, shop: Shop, plan: Plan, progress: Progress) -> dict[str, list[float]]:
    """Return the requests a second of each round, watched and not.

    Raises:
        CommandError: a server did not start, or requests failed.
    """
    rates: dict[str, list[float]] = {WATCHED: [], UNWATCHED: []}
    for pair in range(plan.http_pairs):
        for name, found in _measure_pair(stack, shop, plan, pair, progress).items():
            rates[name] += found
    return rates


def _measure_pair(stack: Stack, shop: Shop, plan: Plan, pair: int, progress: Progress) -> dict[str, list[float]]:
    webs = {name: _gunicorn(stack, shop, name, pair) for name in drawn([WATCHED, UNWATCHED], pair)}
    try:
        for web in webs.values():
            web.wait_until_ready()
        steps = {name: partial(_load, web, plan) for name, web in webs.items()}
        for step in steps.values():
            step(plan.http_warm_up)
        return _rounds(steps, plan, pair, progress)
    finally:
        with ThreadPoolExecutor() as together:
            list(together.map(Web.stop, webs.values()))


def _gunicorn(stack: Stack, shop: Shop, name: str, pair: int) -> Web:
    environ = {
        "WORKERS": str(max(2, len(os.sched_getaffinity(0)))), "THREADS": str(THREADS),
        "DATABASE_URL": shop.cluster.url(DATABASE, ROLE),
    }  # fmt: skip
    app = f"scripts.bench.monitor.served.{name}:application"
    return stack.gunicorn(environ, name=f"bench-{name}-{pair}", app=app, options=NO_RESTARTS)


def _load(web: Web, plan: Plan, seconds: float) -> float:
    numbers = range(1, COHORT + 1)
    workload = Workload(web.url, [Request(path.format(number)) for number in numbers for path in PATHS])
    try:
        result = run_closed(workload, plan.users, seconds, warmup_seconds=plan.http_warm_up / 5)
    except LoadError as error:
        raise CommandError(f"the load generator failed: {error}") from None
    if result.failed:
        raise CommandError(f"{result.failed} requests failed: {dict(result.errors)}; see the servers' logs")
    return result.rps


def _rounds(
    steps: Mapping[str, Callable[[float], float]], plan: Plan, pair: int, progress: Progress
) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(plan.http_rounds):
        for done, name in enumerate(drawn(list(steps), number)):
            at = pair * plan.http_rounds + number + done / len(steps)
            progress.bar(at, plan.http_pairs * plan.http_rounds, f"requests: {name}")
            rates[name].append(steps[name](plan.http_seconds))
    progress.clear()
    return rates
