"""Retiring: by age, by idleness, by ping; and what many threads do to a pool's count."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from scripts.stack.postgres import Cluster
from tests.support.proxy import Proxy
from tests.support.sql import backend, query, run
from tests.support.threads import DEADLINE, Running, together

from .conftest import MakePool


def age(pool: Any, seconds: float) -> None:
    """Make the pool's idle connections so many seconds older, in every respect."""
    for conn in pool._slots.idle:
        record = conn._record
        record.born -= seconds
        record.expires -= seconds
        record.returned -= seconds
        record.fit_until -= seconds


class TestLifetime:
    def test_an_old_connection_is_replaced_at_checkout(self, make_pool: MakePool) -> None:
        """psycopg/psycopg#584: psycopg_pool looks at the age at return only."""
        pool = make_pool(1, 1, max_lifetime=100.0)
        conn = pool.getconn()
        pid = backend(conn)
        pool.putconn(conn)
        age(pool, 101)
        conn = pool.getconn()
        assert backend(conn) != pid
        assert pool.stats()["size"] == 1

    def test_an_old_connection_is_replaced_at_return(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, max_lifetime=0.01)
        conn = pool.getconn()
        time.sleep(0.011)
        pool.putconn(conn)
        assert pool.stats()["size"] == 0

    def test_lifetimes_differ_by_up_to_a_tenth(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 8, max_lifetime=1000.0)
        held = [pool.getconn() for _ in range(8)]
        spans = [conn._record.expires - conn._record.born for conn in held]
        assert all(899 < span <= 1000 for span in spans)
        assert len({round(span, 6) for span in spans}) > 1

    def test_zero_keeps_for_ever(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, max_lifetime=0, max_idle=0, pre_ping_after=1e9)
        conn = pool.getconn()
        pid = backend(conn)
        pool.putconn(conn)
        age(pool, 1e8)
        conn = pool.getconn()
        assert backend(conn) == pid


class TestIdle:
    def test_connections_idle_for_long_are_closed_down_to_minconn(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 4, max_idle=50.0)
        for conn in [pool.getconn() for _ in range(4)]:
            pool.putconn(conn)
        age(pool, 51)
        pool._housekeep()
        assert (pool.stats()["idle"], pool.stats()["closed_for"]) == (1, {"max_idle": 3})

    def test_connections_in_use_lately_stay(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 4, max_idle=50.0)
        for conn in [pool.getconn() for _ in range(4)]:
            pool.putconn(conn)
        age(pool, 49)
        pool._housekeep()
        assert pool.stats()["idle"] == 4

    def test_the_connection_used_last_is_used_first(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 3)
        first, second = pool.getconn(), pool.getconn()
        pool.putconn(second)
        pool.putconn(first)
        assert pool.getconn() is first
        assert pool.getconn() is second


class TestPing:
    def test_a_rested_connection_is_pinged(self, make_pool: MakePool, cluster: Cluster, database: str) -> None:
        """A half-open connection (power cut, NAT) looks healthy to the socket; only a query tells."""
        with Proxy(cluster.port) as proxy:
            dsn = cluster.dsn(database, "app")
            pool = make_pool(
                1, 1, connect={"dsn": dsn, "port": proxy.port, "tcp_user_timeout": 200}, pre_ping_after=50.0
            )
            conn = pool.getconn()
            pid = backend(conn)
            pool.putconn(conn)
            conn = pool.getconn()
            assert backend(conn) == pid  # fresh: trusted
            pool.putconn(conn)
            age(pool, 51)
            conn = pool.getconn()
            assert backend(conn) == pid  # pinged, and it answered
            pool.putconn(conn)
            proxy.cut()
            age(pool, 51)
            assert backend(pool.getconn()) != pid

    def test_the_ping_leaves_no_transaction_and_no_autocommit_behind(self, make_pool: MakePool) -> None:
        """DBUtils hands out connections that its own ping left in a transaction."""
        pool = make_pool(1, 1, pre_ping_after=0.0)
        pool.putconn(pool.getconn())
        time.sleep(0.001)
        conn = pool.getconn()
        assert conn.info.transaction_status == 0
        assert conn.autocommit is False
        assert query(conn, "SELECT now() - statement_timestamp() <= interval '0'")


class TestManyThreads:
    def test_32_threads_on_4_connections_never_share_and_never_exceed(
        self, make_pool: MakePool, cluster: Cluster, database: str
    ) -> None:
        """The pool's promise as the server sees it: at most maxconn backends, each with one user at a time."""
        pool = make_pool(1, 4, timeout=30.0)
        users: dict[int, int] = {}
        shared: list[int] = []
        guard, done = threading.Lock(), threading.Event()

        def watch() -> int:
            most = 0
            with closing(cluster.connect(database)) as conn:
                while not done.wait(0.005):
                    most = max(most, query(
                        conn, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'thirty-two'"
                    ))  # fmt: skip
            return most

        def work(number: int) -> None:
            for turn in range(12):
                conn = pool.getconn()
                me = number * 100 + turn
                with guard:
                    if users.setdefault(id(conn), me) != me:
                        shared.append(id(conn))
                run(conn, "SET application_name = 'thirty-two'")
                run(conn, "SELECT set_config('test.user', %s, false)", str(me))
                run(conn, "SELECT pg_sleep(0.0005)")
                if query(conn, "SELECT current_setting('test.user')") != str(me):
                    shared.append(id(conn))
                with guard:
                    del users[id(conn)]
                pool.putconn(conn, close=turn == 5 and number % 8 == 0)

        watcher = Running(watch)
        together(32, work, timeout=30)
        done.set()
        assert 1 <= watcher.result() <= 4
        assert not shared
        stats = pool.stats()
        assert (stats["used"], stats["waiting"], stats["leased"]) == (0, 0, 32 * 12)
        assert 0 < stats["size"] == stats["idle"] <= 4

    def test_no_slot_is_lost_when_threads_close_drop_and_fail_at_random(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 3, timeout=30.0, max_lifetime=0.05)

        def fail(conn: Any) -> None:
            try:
                query(conn, "SELECT 1/0")
            except psycopg2.DataError:  # not pytest.raises: it keeps the error, and so the connection, in a cycle
                pass

        def work(number: int) -> None:
            for turn in range(20):
                conn = pool.getconn()
                what = (number + turn) % 5
                if what == 0:
                    pool.putconn(conn, close=True)
                elif what == 1:
                    conn.close()
                    pool.putconn(conn)
                elif what == 3:
                    fail(conn)
                    pool.putconn(conn)
                elif what == 4:
                    pool.putconn(conn)
                del conn  # dropped when it is 2; else so that nobody else's drop is kept from being one

        together(8, work, timeout=DEADLINE * 3)
        stats = pool.stats()
        assert (stats["used"], stats["waiting"]) == (0, 0)
        assert stats["size"] == stats["idle"] <= 3


class TestNested:
    def test_a_thread_that_holds_one_may_overflow(self, make_pool: MakePool) -> None:
        """Nested checkout: every other pool makes the thread wait for itself until its time-out."""
        pool = make_pool(1, 1, nested_overflow=1)
        outer = pool.getconn()
        inner = pool.getconn(timeout=0)
        assert inner is not outer
        assert (pool.stats()["size"], pool.stats()["nested"]) == (2, 1)
        pool.putconn(inner)
        pool.putconn(outer)
        assert pool.stats()["size"] == 1

    def test_other_threads_may_not(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, nested_overflow=1)
        held = pool.getconn()
        assert Running(lambda: pool.getconn(timeout=0)).error()
        pool.putconn(held)

    def test_overflow_has_an_end(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, nested_overflow=2)
        held = [pool.getconn(timeout=0) for _ in range(3)]
        with pytest.raises(Exception, match="no connection"):
            pool.getconn(timeout=0)
        for conn in held:
            pool.putconn(conn)
        assert pool.stats()["size"] == 1

    def test_overflow_does_not_starve_waiters(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, nested_overflow=1)
        outer = pool.getconn()
        waiter = Running(pool.getconn)
        while not pool.stats()["waiting"]:
            time.sleep(0.001)
        pool.putconn(pool.getconn())
        assert waiter.is_alive()
        pool.putconn(outer)
        assert query(waiter.result(), "SELECT 1") == 1
