"""The benchmark's served app: nothing asked when warm, and nothing failed while Redis is killed under load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.bench.cache import command, serving
from scripts.bench.cache.command import _bars
from scripts.bench.cache.serving import Served, measure_profiles, measure_restart
from scripts.bench.queries.shop import SETTINGS, fill_shop
from scripts.stack import Stack
from scripts.stack.postgres import Cluster


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Stack, Cluster]]:
    with Stack() as stack:
        cluster = stack.postgres({**SETTINGS, "log_connections": "on"})
        fill_shop(cluster)
        yield stack, cluster


def test_warm_it_asks_nothing_and_a_killed_redis_fails_no_request(served, monkeypatch) -> None:
    stack, cluster = served
    server = stack.redis()
    if server is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    monkeypatch.setattr(serving, "BUSY", 8)
    monkeypatch.setattr(serving, "ROUNDS", 1)
    app = Served(stack, cluster, server)
    found = measure_profiles(app, cluster, 0.5)
    assert found["queries_cold"] == pytest.approx(2, abs=0.1) and found["queries_warm"] < 0.05
    assert found["cold_ms"] > 0 < found["warm_ms"]
    restart = measure_restart(app, server, 0.7, lambda _: None)
    assert restart["failed"] == 0 and restart["requests"] > 100, restart


def test_a_bar_that_does_not_hold_is_said() -> None:
    told = {"breaches": 1, "operations": 10, "told": ["north 1: version 1"], "seconds": 1.0}
    bars = _bars({
        "profiles": {"redis": {"cold_ms": 2.0, "warm_ms": 1.0, "queries_warm": 1.0}},
        "restart": {"failed": 2}, "misses": {"loads": 2, "answers": 1000},
        "consumers": {"redis": [1, 2]}, "trials": {"memory": told},
    })  # fmt: skip
    assert [bar.holds for bar in bars] == [False] * 6
    assert "north 1: version 1" in bars[-1].reached
    assert command.PROFILE_BAR == 3.0
