"""Networks that reset, stall, and forget: found within `peer_timeout`, idle or waiting for an answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from backend import PoolTimeout
from backend.holders import state
from scripts.stack.postgres import Cluster
from tests.support.proxy import Proxy
from tests.support.sql import query
from tests.support.threads import Running, together, until

from ..conftest import MakePool
from .load import Attempts, Load, check_whole

PEER_TIMEOUT = 2.0
FOUND = PEER_TIMEOUT + 1.5  # the system's timers are coarse, and the machine busy


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(cluster.port) as running:
        yield running


@pytest.fixture
def where(proxy: Proxy, cluster: Cluster, database: str) -> dict[str, Any]:
    """How a pool connects through the proxy."""
    return {"dsn": cluster.dsn(database, "app"), "port": proxy.port}


def open_all(pool: Any) -> None:
    held = [pool.getconn() for _ in range(pool.maxconn)]
    for conn in held:
        query(conn, "SELECT 1")
        pool.putconn(conn)


def asking(pool: Any) -> int:
    """Count the leases whose query is under way."""
    return sum(state(record) == "running a query" for record in pool._slots.leases())


class TestReset:
    def test_idle_connections_that_were_reset_fail_no_lease(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy
    ) -> None:
        pool = make_pool(4, 4, connect=where)
        open_all(pool)
        proxy.cut()

        def work(number: int) -> int:
            for _ in range(20):
                with pool.connection() as conn:
                    query(conn, "SELECT 1")
            return 20

        assert sum(together(16, work)) == 320
        assert pool.stats()["size"] <= 4
        check_whole(pool)

    def test_cuts_under_load_fail_what_was_under_way_and_nothing_later(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy
    ) -> None:
        pool = make_pool(2, 6, connect=where)
        cuts = 10
        with Load(pool) as load:
            load.serves(50)
            for _ in range(cuts):
                proxy.cut()
                load.serves(30)
        # Each cut can meet as many leases as there are connections, the connects under way among them.
        assert len(load.failures) <= cuts * 6, load
        assert all(isinstance(each.error, psycopg2.OperationalError) for each in load.failures), load
        assert not any(isinstance(each.error, PoolTimeout) for each in load.failures), load
        check_whole(pool)


class TestVanished:
    """Every packet is dropped, as by a power cut or a NAT that forgot: no end of stream, no reset."""

    def test_an_idle_connection_is_replaced_at_checkout(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy
    ) -> None:
        pool = make_pool(4, 4, connect=where, peer_timeout=PEER_TIMEOUT)
        open_all(pool)
        accepted = proxy.accepted
        proxy.vanish()
        start = time.monotonic()
        until(lambda: all(conn._record.poll(0) for conn in pool._idle), "keepalives tell")
        print(f"idle: found after {time.monotonic() - start:.2f} s")
        assert time.monotonic() - start < FOUND
        proxy.reappear()
        for _ in range(8):
            with pool.connection() as conn:
                query(conn, "SELECT 1")
        check_whole(pool)
        assert proxy.accepted == accepted + 4

    def test_a_rested_connection_is_asked_and_the_answer_awaited_no_longer_than_that(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy
    ) -> None:
        pool = make_pool(1, 1, connect=where, peer_timeout=PEER_TIMEOUT, pre_ping_after=0.0, connect_timeout=1)
        open_all(pool)
        proxy.vanish()
        start = time.monotonic()
        caller = Running(lambda: query(pool.getconn(), "SELECT 1"))
        until(lambda: pool.stats()["connecting"], "the dead one is given up, and a new one tried", 15.0)
        found = time.monotonic() - start
        proxy.reappear()
        print(f"pinged: found after {found:.2f} s")
        assert found < FOUND
        caller.join()

    def test_a_lease_that_waits_for_an_answer_hears_of_it(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy
    ) -> None:
        pool = make_pool(1, 4, connect=where, peer_timeout=PEER_TIMEOUT)

        def work(number: int) -> tuple[BaseException | None, float]:
            start = time.monotonic()
            try:
                with pool.connection() as conn:
                    query(conn, "SELECT pg_sleep(30)")
            except psycopg2.OperationalError as error:
                return error, time.monotonic() - start
            return None, 0.0

        running = [Running(work, number) for number in range(4)]
        until(lambda: asking(pool) == 4, "all wait")
        proxy.vanish()
        start = time.monotonic()
        for each in running:
            assert isinstance(each.result()[0], psycopg2.OperationalError)
        print(f"waiting for an answer: found after {time.monotonic() - start:.2f} s")
        assert time.monotonic() - start < FOUND
        assert (pool.stats()["used"], pool.stats()["size"]) == (0, 0)
        proxy.reappear()
        check_whole(pool)

    def test_a_statement_that_was_never_acknowledged_hears_of_it(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy
    ) -> None:
        pool = make_pool(1, 1, connect=where, peer_timeout=PEER_TIMEOUT)
        conn = pool.getconn()
        query(conn, "SELECT 1")
        proxy.vanish()
        start = time.monotonic()
        with pytest.raises(psycopg2.OperationalError):
            query(conn, "SELECT 2")
        print(f"not acknowledged: found after {time.monotonic() - start:.2f} s")
        assert time.monotonic() - start < FOUND
        proxy.reappear()
        pool.putconn(conn)
        check_whole(pool)

    def test_a_connect_into_nothing_is_bounded_and_made_by_one_caller_for_all(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy, attempts: Attempts
    ) -> None:
        """libpq's own bound is two minutes of the system's, per address."""
        pool = make_pool(1, 4, connect=where, connect_timeout=2, timeout=20.0)
        proxy.vanish()
        start = time.monotonic()

        def work(number: int) -> BaseException | None:
            return Running(pool.getconn).error(15.0)

        for error in together(16, work, timeout=20.0):
            assert isinstance(error, psycopg2.OperationalError)
            assert not isinstance(error, PoolTimeout)
            assert "timeout expired" in str(error)
        took = time.monotonic() - start
        print(f"16 callers into nothing: {took:.2f} s, {attempts.count} attempts")
        assert took < 2 * 3 + 6  # four at first, then one that speaks for all
        proxy.reappear()
        check_whole(pool)

    def test_under_load_all_is_well_again_once_packets_come_through(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy
    ) -> None:
        pool = make_pool(2, 6, connect=where, peer_timeout=PEER_TIMEOUT, connect_timeout=2, timeout=10.0)
        with Load(pool) as load:
            load.serves(100)
            proxy.vanish()
            load.fails(6)
            proxy.reappear()
            back = time.monotonic()
            load.serves(200)
        late = load.first_served_after(back)
        print(f"first lease served {late:.2f} s after packets came through")
        assert late < 6  # a connect under way may be about to time out
        assert load.longest < 2 * FOUND
        check_whole(pool)


class TestStalled:
    """The system at the other end still acknowledges, but nobody answers: a hung host, a proxy that stopped."""

    def test_a_short_stall_fails_nobody(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy
    ) -> None:
        pool = make_pool(2, 6, connect=where, timeout=10.0)
        with Load(pool) as load:
            load.serves(100)
            for _ in range(3):
                proxy.stall()
                stalled = time.monotonic()
                until(lambda begun=stalled: time.monotonic() > begun + 0.2, "a while passes")
                proxy.resume()
                load.serves(50)
        assert not load.failures, load
        check_whole(pool)

    def test_the_ping_of_a_rested_connection_is_given_up_within_peer_timeout(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy
    ) -> None:
        """Keepalives are answered there, so no system timer ends the wait."""
        pool = make_pool(1, 1, connect=where, peer_timeout=PEER_TIMEOUT, pre_ping_after=0.0, connect_timeout=2)
        open_all(pool)
        proxy.stall()
        start = time.monotonic()
        caller = Running(pool.getconn)
        try:
            error = caller.error(PEER_TIMEOUT + 2 + 2)
        finally:
            proxy.resume()
        print(f"stalled ping: given up, and the connect after it, in {time.monotonic() - start:.2f} s")
        assert isinstance(error, psycopg2.OperationalError)
        assert pool.stats()["size"] == 0
        check_whole(pool)

    def test_callers_wait_for_a_stalled_lease_no_longer_than_their_timeout(
        self, make_pool: MakePool, where: dict[str, Any], proxy: Proxy
    ) -> None:
        pool = make_pool(0, 2, connect=where, timeout=0.3)
        open_all(pool)
        proxy.stall()
        stuck = [Running(_ask, pool) for _ in range(2)]
        until(lambda: asking(pool) == 2, "all wait")
        start = time.monotonic()
        with pytest.raises(PoolTimeout, match="running a query"):
            pool.getconn()
        assert 0.2 < time.monotonic() - start < 8
        proxy.resume()
        assert [each.result() for each in stuck] == [1, 1]
        check_whole(pool)


def _ask(pool: Any) -> Any:
    with pool.connection() as conn:
        return query(conn, "SELECT 1")
