"""Clocks that jump: by the injected clock, a day forward or back. At most connections are replaced."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from scripts.stack.postgres import Cluster
from tests.support.connects import Connects
from tests.support.sql import query
from tests.support.threads import Running, until, waiting

from ..conftest import MakePool
from .conftest import OwnPool
from .load import Load, check_whole

DAY = 86400.0


class Clock:
    """The machine's monotonic time, and a shift that tests change."""

    def __init__(self) -> None:
        self.shift = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.shift

    def jump(self, seconds: float) -> None:
        self.shift += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def open_all(pool: Any) -> set[int]:
    held = [pool.getconn() for _ in range(pool.maxconn)]
    for conn in held:
        pool.putconn(conn)
    return {conn.info.backend_pid for conn in held}


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])
def test_a_jump_under_load_fails_nobody(make_pool: MakePool, clock: Clock, jump: float) -> None:
    pool = make_pool(2, 6, clock=clock, timeout=10.0)
    with Load(pool) as load:
        for _ in range(3):
            load.serves(200)
            clock.jump(jump)
        load.serves(200)
    assert not load.failures, load
    check_whole(pool)


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])
def test_a_jump_while_callers_wait_gives_them_their_connection_all_the_same(
    make_pool: MakePool, clock: Clock, jump: float
) -> None:
    pool = make_pool(0, 1, clock=clock, timeout=10.0)
    conn = pool.getconn()
    caller = Running(pool.getconn)
    waiting(pool)
    clock.jump(jump)
    pool.putconn(conn)
    assert caller.result() is not None
    del conn


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])
def test_a_jump_during_an_outage_does_not_put_off_recovery(
    own: Cluster, own_pool: OwnPool, clock: Clock, connects: Connects, jump: float
) -> None:
    """The next try of the background is a time of that clock: set back by a day, it would be a day away."""
    pool = own_pool(2, 4, clock=clock, timeout=5.0)
    refused = psycopg2.OperationalError("refused")
    connects.failures = [refused] * 3
    for _ in range(2):
        with pytest.raises(psycopg2.OperationalError):
            pool.getconn()
    clock.jump(jump)
    pool._housekeep()
    pool._housekeep()
    until(lambda: pool.stats()["idle"] == 2, "the pool fills itself")
    check_whole(pool)


def test_a_jump_back_does_not_prolong_a_close(make_pool: MakePool, clock: Clock) -> None:
    pool = make_pool(0, 2, clock=clock)
    held = pool.getconn()
    closing = Running(pool.close, 0.3)
    until(lambda: pool.closed, "it is being closed")
    clock.jump(-DAY)
    assert closing.result(5.0) == 1
    del held


class TestThresholds:
    def test_lifetime(self, make_pool: MakePool, clock: Clock) -> None:
        pool = make_pool(0, 3, clock=clock, max_lifetime=1000.0)
        first = open_all(pool)
        clock.jump(899.0)
        assert open_all(pool) == first
        clock.jump(102.0)
        assert open_all(pool).isdisjoint(first)
        assert pool.stats()["closed_for"] == {"max_lifetime": 3}

    def test_lifetime_of_idle_connections_in_the_background(self, make_pool: MakePool, clock: Clock) -> None:
        pool = make_pool(2, 3, clock=clock, max_lifetime=1000.0, max_idle=0.0)
        first = open_all(pool)
        clock.jump(1001.0)
        pool._housekeep()
        # One attempt at a time: the second may be the background thread's, and under way.
        until(lambda: pool.stats()["idle"] == 2, "as many as minconn are open again")
        assert pool.stats()["closed_for"] == {"max_lifetime": 3}
        assert first.isdisjoint({conn.info.backend_pid for conn in pool._idle})

    def test_idleness(self, make_pool: MakePool, clock: Clock) -> None:
        pool = make_pool(1, 3, clock=clock, max_idle=100.0)
        open_all(pool)
        clock.jump(99.0)
        pool._housekeep()
        assert pool.stats()["idle"] == 3
        clock.jump(2.0)
        pool._housekeep()
        assert (pool.stats()["idle"], pool.stats()["closed_for"]) == (1, {"max_idle": 2})

    def test_ping(self, make_pool: MakePool, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        pinged: list[Any] = []
        pool = make_pool(0, 1, clock=clock, pre_ping_after=30.0)
        original: Callable[..., bool] = pool._opener.is_fit

        def is_fit(conn: Any) -> bool:
            pinged.append(conn.info.backend_pid)
            return original(conn)

        monkeypatch.setattr(pool._opener, "is_fit", is_fit)
        pid = open_all(pool)
        clock.jump(29.0)
        assert (open_all(pool), pinged) == (pid, [])
        clock.jump(31.0)
        assert (open_all(pool), pinged) == (pid, list(pid))

    def test_a_lease_s_time(self, make_pool: MakePool, clock: Clock) -> None:
        pool = make_pool(0, 1, clock=clock)
        with pool.connection() as conn:
            clock.jump(50.0)
            assert 50.0 <= pool.stats()["longest_lease"] < 60.0
            assert query(conn, "SELECT 1") == 1
        assert 50.0 <= pool.stats()["use_time"] < 60.0
