"""Between the callers' visits: filled up to minconn, shrunk to it, replaced when old, and counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from backend import upkeep
from backend.housekeeper import housekeeper
from tests.support.connects import Connects
from tests.support.sql import backend, query
from tests.support.threads import DEADLINE, Running, until, waiting

from .conftest import Clock, MakePool


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread looks after pools; the test does."""
    monkeypatch.setattr(housekeeper, "watch", lambda pool, within=0.0: None)


class TestFill:
    def test_the_first_lease_has_the_rest_opened_in_the_background(
        self, make_pool: MakePool, connects: Connects
    ) -> None:
        pool = make_pool(3, 5)
        assert connects.count == 0
        conn = pool.getconn()
        until(lambda: pool.stats()["idle"] == 2, "minconn are open")
        assert (pool.stats()["size"], connects.count) == (3, 3)
        pool.putconn(conn)

    @pytest.mark.usefixtures("by_hand")
    def test_they_are_opened_one_after_the_other(self, make_pool: MakePool, connects: Connects) -> None:
        pool = make_pool(4, 8)
        most = []
        original = connects.original

        def connect(*args: Any, **kwargs: Any) -> Any:
            most.append(pool._slots.connecting)
            return original(*args, **kwargs)

        connects.original = connect
        pool.fill()
        assert most == [1, 1, 1, 1]
        assert pool.stats()["idle"] == 4

    @pytest.mark.usefixtures("by_hand")
    def test_fill_raises_where_the_server_cannot_be_reached(self, make_pool: MakePool, connects: Connects) -> None:
        pool = make_pool(2, 2)
        connects.failures = [psycopg2.OperationalError("no such host")]
        with pytest.raises(psycopg2.OperationalError, match="no such host"):
            pool.fill()
        assert (pool.stats()["connecting"], pool.stats()["size"]) == (0, 0)

    @pytest.mark.usefixtures("by_hand")
    def test_in_the_background_a_failure_is_logged_once_and_tried_again(
        self, make_pool: MakePool, connects: Connects, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = make_pool(2, 2, clock=clock, reconnect_timeout=0)
        connects.failures = [psycopg2.OperationalError("first\nline") for _ in range(3)]
        for _ in range(3):
            pool._housekeep()
            clock.now += 6.0
        lines = [record.getMessage() for record in caplog.records]
        assert lines == ["cannot connect; trying again in the background: first line"]
        pool._housekeep()
        assert pool.stats()["size"] == 2

    @pytest.mark.usefixtures("by_hand")
    def test_a_background_connection_goes_to_who_waits(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 2)
        one, two = pool.getconn(), pool.getconn()
        waiter = Running(pool.getconn, None, DEADLINE)
        waiting(pool)
        pool.putconn(one, close=True)
        assert query(waiter.result(), "SELECT 1") == 1
        assert two is not None


@pytest.mark.usefixtures("by_hand")
class TestShrink:
    def test_idle_ones_above_minconn_are_closed_after_max_idle(self, make_pool: MakePool, clock: Clock) -> None:
        pool = make_pool(1, 4, clock=clock, max_idle=100.0, max_lifetime=0)
        held = [pool.getconn() for _ in range(4)]
        for conn in held:
            pool.putconn(conn)
        clock.now += 100.0
        pool._housekeep()
        assert pool.stats()["idle"] == 4
        clock.now += 0.1
        pool._housekeep()
        assert (pool.stats()["idle"], pool.stats()["closed_for"]) == (1, {"max_idle": 3})
        assert pool.getconn() is held[-1]  # the one used last is kept

    def test_one_that_is_used_again_and_again_stays_and_the_others_grow_old(
        self, make_pool: MakePool, clock: Clock
    ) -> None:
        pool = make_pool(0, 3, clock=clock, max_idle=100.0, max_lifetime=0)
        held = [pool.getconn() for _ in range(3)]
        for conn in held:
            pool.putconn(conn)
        for _ in range(5):
            clock.now += 30.0
            pool.putconn(pool.getconn())
            pool._housekeep()
        assert pool.stats()["idle"] == 1
        assert pool._pool == [held[-1]]

    def test_zero_keeps_them(self, make_pool: MakePool, clock: Clock) -> None:
        pool = make_pool(0, 2, clock=clock, max_idle=0, max_lifetime=0)
        pool.putconn(pool.getconn())
        clock.now += 1e6
        pool._housekeep()
        assert pool.stats()["idle"] == 1

    def test_expired_idle_ones_are_replaced_before_a_caller_meets_them(
        self, make_pool: MakePool, clock: Clock
    ) -> None:
        pool = make_pool(2, 2, clock=clock, max_idle=0, max_lifetime=1000.0)
        pool.fill()
        old = {conn.info.backend_pid for conn in pool._pool}
        clock.now += 899.0  # jitter takes at most a tenth off
        pool._housekeep()
        assert {conn.info.backend_pid for conn in pool._pool} == old
        clock.now += 102.0
        pool._housekeep()
        assert pool.stats()["idle"] == 2
        assert not {conn.info.backend_pid for conn in pool._pool} & old
        assert pool.stats()["closed_for"] == {"max_lifetime": 2}

    def test_those_in_use_are_left_alone(self, make_pool: MakePool, clock: Clock) -> None:
        pool = make_pool(0, 2, clock=clock, max_idle=10.0, max_lifetime=100.0)
        conn = pool.getconn()
        pid = backend(conn)
        conn.rollback()
        clock.now += 1000.0
        pool._housekeep()
        assert backend(conn) == pid
        pool.putconn(conn)
        assert pool.stats()["closed_for"] == {"max_lifetime": 1}


class TestPause:
    @pytest.mark.parametrize(
        ("options", "seconds"),
        [
            ({}, 30.0),
            ({"max_idle": 0, "max_lifetime": 0}, 30.0),
            ({"max_idle": 60.0}, 15.0),
            ({"leak_after": 8.0}, 2.0),
            ({"held_idle_after": 4.0}, 1.0),
            ({"max_lifetime": 0.01}, 0.05),
        ],
    )
    def test_it_is_a_quarter_of_the_shortest_span(
        self, make_pool: MakePool, options: dict[str, Any], seconds: float
    ) -> None:
        assert upkeep.pause(make_pool(0, 2, **options)) == seconds

    @pytest.mark.usefixtures("by_hand")
    def test_it_is_short_while_there_are_too_few(self, make_pool: MakePool) -> None:
        pool = make_pool(2, 2)
        assert upkeep.pause(pool) == upkeep.SHORTEST_PAUSE
        pool.fill()
        assert upkeep.pause(pool) == 30.0

    def test_none_for_a_closed_pool(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        pool.closeall()
        assert upkeep.housekeep(pool) is None


class TestClose:
    def test_it_waits_for_what_is_in_use(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 1)
        conn = pool.getconn()
        closing = Running(pool.close, 5.0)
        until(lambda: pool.closed, "it is closed for all who come")
        assert query(conn, "SELECT 1") == 1
        with pytest.raises(psycopg2.pool.PoolError):
            pool.putconn(conn)
        assert closing.result() == 0

    def test_at_the_deadline_it_closes_under_its_users_and_says_how_many(
        self, make_pool: MakePool, backends: Callable[[], int]
    ) -> None:
        before = backends()
        pool = make_pool(0, 2)
        held = [pool.getconn(), pool.getconn()]
        start = time.monotonic()
        assert pool.close(timeout=0.05) == 2
        assert 0.05 <= time.monotonic() - start < 5.0
        assert all(conn.closed for conn in held)
        until(lambda: backends() <= before, "the connections are closed")


class TestFigures:
    def test_every_counter_counts_what_it_says(self, make_pool: MakePool, connects: Connects) -> None:
        pool = make_pool(0, 2, max_waiting=1)
        connects.failures = [psycopg2.OperationalError("refused")]
        with pytest.raises(psycopg2.OperationalError):
            pool.getconn()
        one, two = pool.getconn(), pool.getconn()
        with pytest.raises(psycopg2.OperationalError):
            pool.getconn(timeout=0)
        pool.putconn(one, close=True)
        pool.putconn(two)
        for _ in range(3):
            pool.putconn(pool.getconn())
        stats = pool.stats()
        assert {name: stats[name] for name in (
            "minconn", "maxconn", "size", "idle", "used", "waiting", "connecting", "leased", "waited", "timeouts",
            "refused", "opened", "connect_failures", "closed", "dropped", "outage", "longest_lease", "suspended",
        )} == {
            "minconn": 0, "maxconn": 2, "size": 1, "idle": 1, "used": 0, "waiting": 0, "connecting": 0,
            "leased": 5, "waited": 1, "timeouts": 1, "refused": 0, "opened": 2, "connect_failures": 1,
            "closed": 1, "dropped": 0, "outage": 0.0, "longest_lease": 0.0, "suspended": False,
        }  # fmt: skip
        assert stats["closed_for"] == {"closed by its user": 1}

    def test_use_time_is_that_of_all_leases_that_ended(self, make_pool: MakePool, clock: Clock) -> None:
        pool = make_pool(0, 2, clock=clock)
        one = pool.getconn()
        clock.now += 2.0
        pool.putconn(one)
        two = pool.getconn()
        clock.now += 3.0
        assert pool.stats()["longest_lease"] == 3.0
        pool.putconn(two, close=True)
        assert pool.stats()["use_time"] == 5.0
