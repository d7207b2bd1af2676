"""What the tests of faults share: pools on servers that may be stopped, and a count of connects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend import PoolOptions, ThreadedConnectionPool
from scripts.stack import Stack
from scripts.stack.bouncer import Bouncer
from scripts.stack.postgres import Cluster
from tests.support.threads import Running

from .load import Attempts

OwnPool = Callable[..., Any]


@pytest.fixture
def own_pool(own: Cluster) -> Iterator[OwnPool]:
    """A function that makes pools on the cluster that may be stopped, or wherever `dsn` leads."""
    made: list[ThreadedConnectionPool] = []

    def make(minconn: int, maxconn: int, dsn: str | None = None, **options: Any) -> ThreadedConnectionPool:
        where = dsn or own.dsn("app", "app")
        pool = ThreadedConnectionPool(minconn, maxconn, where, pool_options=PoolOptions(**options))
        made.append(pool)
        return pool

    yield make
    for pool in made:
        if not pool.closed:
            Running(pool.closeall).join()


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Attempts:
    """Every attempt of a pool to connect."""
    return Attempts(monkeypatch)


@pytest.fixture(scope="module")
def own_bouncer(own_stack: Stack, own: Cluster) -> Bouncer:
    """PgBouncer in transaction mode before the cluster that may be stopped."""
    running = own_stack.pgbouncer(own, ["app"], ["app"], name="pgbouncer_faults")
    if running is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    return running
