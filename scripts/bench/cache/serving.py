"""The shop's profile over HTTP: warm beside cold, what the database is asked, and Redis killed under load."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import jwt

from ...demo.counting import Observer
from ...errors import CommandError
from ...load import LoadError, Request, Workload, run_closed
from ...load.result import Result, nearest_rank
from ...stack import Stack
from ...stack.postgres import Cluster
from ...stack.redis import Redis
from ...stack.web import Web
from ..queries.shop import DATABASE, ROLE

WORKERS, THREADS = 4, 4
USERS = 4  # few: a latency under load would be the queue's, and the same for both
BUSY = 50
ROUNDS = 5
CUSTOMERS = range(1, 21)
KEY_NAME, KEY_BYTES = "TOKEN_KEY", 32
APP = "scripts.bench.cache.served.shop:application"


class Served:
    """The app on Gunicorn, and the requests that it is asked.

    Args:
        cluster: with the shop in it.
        cache: None keeps everything in each worker's memory.
    """

    def __init__(self, stack: Stack, cluster: Cluster, cache: Redis | None) -> None:
        key = secrets.token_hex(KEY_BYTES)
        environ = {
            "DATABASE_URL": cluster.url(DATABASE, ROLE), "WORKERS": str(WORKERS), "THREADS": str(THREADS),
            KEY_NAME: key, "CACHE_URL": cache.url if cache is not None else "",
        }  # fmt: skip
        name = f"bench-cache-{'redis' if cache is not None else 'memory'}"
        self.web: Web = stack.gunicorn(environ, name=name, app=APP, options=("--max-requests", "0"))
        self.web.wait_until_ready()
        self._headers = {
            number: {"Authorization": f"Bearer {_token(key, number)}"} for number in CUSTOMERS
        }

    def requests(self, kind: str, method: str = "GET", expect: int = 200) -> list[Request]:
        """Return the requests of a kind, one per customer, each with his own token."""
        return [
            Request(f"/{kind}/{number}", method, headers=self._headers[number], expect=(expect,))
            for number in CUSTOMERS
        ]

    def load(self, requests: list[Request], users: int, seconds: float) -> Result:
        """Run a load.

        Raises:
            CommandError: the generator could not.
        """
        try:
            return run_closed(Workload(self.web.url, requests), users, seconds)
        except LoadError as error:
            raise CommandError(f"the load generator failed: {error}") from None


def _token(key: str, number: int) -> str:
    claims = {"sub": str(number), "aud": "shop", "exp": time.time() + 86_400}
    return jwt.encode(claims, key, algorithm="HS256")


def measure_profiles(served: Served, cluster: Cluster, seconds: float) -> dict[str, Any]:
    """Measure warm and cold in turn, several rounds.

    Returns:
        cold_ms and warm_ms, the medians over the rounds of each round's p50; queries_cold and queries_warm, a
        request, as PostgreSQL counts.

    Raises:
        CommandError: a request failed.
    """
    found: dict[str, list[float]] = {"cold": [], "warm": []}
    queries: dict[str, float] = {}
    observer = Observer(cluster, DATABASE, ROLE)
    served.load(served.requests("warm"), USERS, 1.0)
    served.load(served.requests("cold"), USERS, 1.0)
    for _ in range(ROUNDS):
        for kind in found:
            with observer.counted() as counts:
                result = served.load(served.requests(kind), USERS, seconds)
            if result.failed or not result.answered:
                raise CommandError(f"{result.failed} requests failed: {dict(result.errors)}")
            found[kind].append((nearest_rank(sorted(result.latencies), 50) or 0.0) * 1000)
            queries[kind] = counts.statements / result.answered
    return {
        "cold_ms": median(found["cold"]), "warm_ms": median(found["warm"]),
        "queries_cold": queries["cold"], "queries_warm": queries["warm"],
    }  # fmt: skip


def measure_restart(
    served: Served, server: Redis, seconds: float, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Kill Redis after a third of the load and start it after two thirds.

    Returns:
        requests, failed, errors by kind, and the rates before, during and after.
    """
    mixed = served.requests("warm") * 4 + served.requests("rename", "POST", 204)
    served.load(mixed, BUSY, 1.0)
    progress(f"Redis is killed under {BUSY} users, and started again")
    kill = threading.Timer(seconds, server.kill)
    start = threading.Timer(2 * seconds, server.start)
    for timer in (kill, start):
        timer.start()
    try:
        result = served.load(mixed, BUSY, 3 * seconds + 5.0)  # with the time until it is used again
    finally:
        for timer in (kill, start):
            timer.cancel()
        server.start()
    return {
        "requests": result.answered + result.failed, "failed": result.failed, "errors": dict(result.errors),
        "p99_ms": (nearest_rank(sorted(result.latencies), 99) or 0.0) * 1000,
    }  # fmt: skip

