"""What people do to a pool while it is in use: suspend, resume, resize, drain, fill, close."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg2
import pytest

from backend import PoolClosed
from scripts.stack.postgres import Cluster
from tests.support.sql import query
from tests.support.threads import Running, until

from ..conftest import MakePool
from .conftest import OwnPool
from .load import Load, check_whole

Count = Callable[[], int]


def test_nobody_is_served_while_suspended_and_everybody_afterwards(make_pool: MakePool) -> None:
    pool = make_pool(2, 6, timeout=20.0)
    with Load(pool) as load:
        for _ in range(5):
            load.serves(100)
            pool.suspend()
            until(lambda: pool.stats()["used"] == 0, "leases that were out have come back")
            until(lambda: pool.stats()["waiting"] == 16, "everybody waits")
            before = pool.stats()["leased"]
            pool.drain()
            pool.resize(2, 4)
            pool.resize(2, 6)
            assert pool.stats()["waiting"] == 16
            assert pool.stats()["leased"] == before
            pool.resume()
    assert not load.failures, load
    check_whole(pool)


def test_a_restart_while_suspended_is_noticed_by_nobody(own: Cluster, own_pool: OwnPool) -> None:
    pool = own_pool(2, 6, timeout=20.0)
    with Load(pool) as load:
        load.serves(100)
        pool.suspend()
        until(lambda: not pool.stats()["used"] + pool.stats()["connecting"], "all that was under way has ended")
        own.restart()
        pool.resume()
        load.serves(200)
    assert not load.failures, load
    check_whole(pool)


def test_resizing_under_load_fails_nobody_and_holds_each_limit(make_pool: MakePool, backends: Count) -> None:
    before = backends()
    pool = make_pool(0, 8, timeout=20.0)
    with Load(pool) as load:
        for maxconn in (8, 1, 5, 2, 8, 3):
            pool.resize(0, maxconn)
            load.serves(50)
            until(lambda most=maxconn: pool.stats()["size"] <= most, "it has shrunk")
            load.serves(50)
            assert pool.stats()["size"] <= maxconn
    assert not load.failures, load
    check_whole(pool)
    assert backends() - before == 3


def test_draining_under_load_replaces_all_and_fails_nobody(make_pool: MakePool) -> None:
    pool = make_pool(2, 6, timeout=20.0)
    with Load(pool) as load:
        for _ in range(5):
            load.serves(100)
            before = set(pool._slots.records)
            pool.drain()
            until(lambda old=before: not old & set(pool._slots.records), "all are replaced")
    assert not load.failures, load
    check_whole(pool)


class TestClose:
    def test_it_waits_for_leases_cuts_the_rest_and_says_how_many(
        self, make_pool: MakePool, backends: Count
    ) -> None:
        before = backends()
        pool = make_pool(0, 4)
        quick, slow = [pool.getconn(), pool.getconn()], [pool.getconn(), pool.getconn()]
        closing = Running(pool.close, 0.5)
        until(lambda: pool.closed, "it is being closed")
        start = time.monotonic()
        with pytest.raises(PoolClosed):
            pool.getconn()
        for conn in quick:
            assert query(conn, "SELECT 1") == 1  # still theirs
            with pytest.raises(PoolClosed):
                pool.putconn(conn)  # as psycopg2: it is taken all the same
        assert closing.result() == 2
        assert time.monotonic() - start < 8.0
        for conn in slow:
            with pytest.raises(psycopg2.InterfaceError, match="closed"):
                query(conn, "SELECT 1")
        until(lambda: backends() <= before, "no backend is left")
        assert pool.stats()["size"] == 0

    def test_it_ends_at_once_when_the_last_lease_is_back(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 2)
        conn = pool.getconn()
        closing = Running(pool.close, 8.0)
        until(lambda: pool.closed, "it is being closed")
        start = time.monotonic()
        pool._give_back(conn)
        assert closing.result() == 0
        assert time.monotonic() - start < 6.0

    def test_under_load_leases_end_well_and_all_others_hear_that_it_is_closed(
        self, make_pool: MakePool, backends: Count
    ) -> None:
        before = backends()
        pool = make_pool(2, 6, timeout=20.0)
        with Load(pool) as load:
            load.serves(200)
            assert pool.close(timeout=5.0) == 0
            load.fails(16)
        assert {type(each.error) for each in load.failures} == {PoolClosed}
        assert pool.stats()["size"] == 0
        until(lambda: backends() <= before, "no backend is left")


class TestFill:
    def test_under_load_it_opens_what_is_missing(self, make_pool: MakePool) -> None:
        pool = make_pool(6, 6)
        with Load(pool, threads=2) as load:
            load.serves(20)
            pool.fill()
            assert pool.stats()["size"] == 6
        assert not load.failures, load
        check_whole(pool)

    def test_it_raises_the_cause_while_there_is_no_server(self, own: Cluster, own_pool: OwnPool) -> None:
        pool = own_pool(2, 4)
        own.stop()
        try:
            for _ in range(3):
                with pytest.raises(psycopg2.OperationalError, match="refused"):
                    pool.fill()
        finally:
            own.start()
        pool.fill()
        until(lambda: pool.stats()["idle"] == 2, "the background's own is there as well")
        check_whole(pool)
