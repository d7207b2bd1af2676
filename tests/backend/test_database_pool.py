"""The pool's contract: psycopg2's four faults first, then what stays as in psycopg2, then what is new."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.pool
import pytest
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS
from psycopg2.extras import RealDictCursor

from backend import (
    PoolClosed,
    PoolOptions,
    PoolTimeout,
    SettingsError,
    SimpleConnectionPool,
    ThreadedConnectionPool,
)
from tests.support.connects import Connects
from tests.support.sql import backend, query, run
from tests.support.threads import DEADLINE, Running, together, waiting

from .conftest import MakePool

Terminate = Callable[..., None]


class TestFaultsOfPsycopg2:
    def test_putconn_after_failed_rollback_frees_the_slot(self, make_pool: MakePool, terminate: Terminate) -> None:
        """psycopg2's putconn forgets the slot when its rollback raises: after maxconn such returns, exhaustion."""
        pool = make_pool(0, 2, timeout=1.0)
        for _ in range(4):
            conn = pool.getconn()
            run(conn, "SELECT 1")
            assert conn.info.transaction_status == TRANSACTION_STATUS_INTRANS
            terminate(conn)
            pool.putconn(conn)
        assert (pool.stats()["size"], pool.stats()["used"]) == (0, 0)
        conn = pool.getconn()
        assert query(conn, "SELECT 1") == 1

    def test_returned_connections_above_minconn_are_kept(self, make_pool: MakePool, connects: Connects) -> None:
        """psycopg/psycopg2#563: everything above minconn is closed on return, so a burst connects per request."""
        pool = make_pool(1, 4)
        for _ in range(3):
            held = [pool.getconn() for _ in range(4)]
            for conn in held:
                pool.putconn(conn)
        assert connects.count == 4
        assert pool.stats()["idle"] == 4

    def test_a_slow_connect_blocks_neither_return_nor_checkout(
        self, make_pool: MakePool, connects: Connects
    ) -> None:
        """psycopg2 connects under its lock: while one thread connects, nobody can give back or take."""
        pool = make_pool(1, 3)
        one, two = pool.getconn(), pool.getconn()
        pool.putconn(one)
        pool.putconn(two)
        one, two = pool.getconn(), pool.getconn()
        connects.held, connects.entered = threading.Event(), threading.Event()
        slow = Running(pool.getconn)
        assert connects.entered.wait(DEADLINE)
        pool.putconn(one)
        again = pool.getconn(timeout=0)
        assert slow.is_alive()
        connects.held.set()
        for conn in (slow.result(), again, two):
            pool.putconn(conn)

    def test_an_exhausted_pool_makes_its_caller_wait(self, make_pool: MakePool) -> None:
        """psycopg/psycopg2#1220: psycopg2 raises at once when maxconn connections are out."""
        pool = make_pool(1, 1)
        conn = pool.getconn()
        waiter = Running(pool.getconn)
        waiting(pool)
        pool.putconn(conn)
        assert waiter.result() is conn


class TestLikePsycopg2:
    @pytest.mark.parametrize("name", ["getconn", "putconn", "closeall"])
    def test_methods_take_the_same_parameters_in_the_same_order(self, name: str) -> None:
        theirs = list(inspect.signature(getattr(psycopg2.pool.ThreadedConnectionPool, name)).parameters.values())
        ours = list(inspect.signature(getattr(ThreadedConnectionPool, name)).parameters.values())
        for expected, parameter in zip(theirs, ours[: len(theirs)], strict=True):
            assert (parameter.name, parameter.default, parameter.kind) == (
                expected.name, expected.default, expected.kind,
            )  # fmt: skip
        assert all(parameter.default is not parameter.empty for parameter in ours[len(theirs) :])

    def test_constructor_takes_sizes_then_whatever_connect_takes(self, dsn: str) -> None:
        positional = ThreadedConnectionPool(1, 2, dsn, None, RealDictCursor)
        by_name = ThreadedConnectionPool(minconn=1, maxconn=2, dsn=dsn, cursor_factory=RealDictCursor)
        for pool in (positional, by_name):
            conn = pool.getconn()
            assert query(conn, "SELECT 1 AS x") == 1
            assert conn.cursor_factory is RealDictCursor
            pool.closeall()

    def test_connection_parameters_by_keyword_need_no_dsn(self, cluster: Any, database: str) -> None:
        where = psycopg2.extensions.parse_dsn(cluster.dsn(database, "app"))
        pool = ThreadedConnectionPool(1, 2, **where)
        assert query(pool.getconn(), "SELECT current_database()") == database
        pool.closeall()

    def test_sizes_are_attributes_and_may_be_text(self, dsn: str) -> None:
        pool = ThreadedConnectionPool("1", "2", dsn)
        assert (pool.minconn, pool.maxconn, pool.closed) == (1, 2, False)

    def test_same_key_gets_the_same_connection_until_put_back(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 2)
        conn = pool.getconn("a")
        assert pool.getconn("a") is conn
        other = pool.getconn(key=0)  # psycopg/psycopg2#848: 0 is a key like any other
        assert other is not conn
        assert pool.getconn(0) is other
        pool.putconn(conn, "a")
        pool.putconn(other, key=0)
        assert (pool.stats()["used"], pool.stats()["idle"]) == (0, 2)
        assert pool.getconn("a", timeout=0)

    def test_a_keyed_lease_stays_out_when_nobody_refers_to_it(self, make_pool: MakePool) -> None:
        """The key is the handle: `pool.getconn(key).cursor()` now, `pool.getconn(key).commit()` later."""
        pool = make_pool(1, 1)
        run(pool.getconn("a"), "CREATE TABLE keyed (x int)")
        pool.getconn("a").commit()
        assert query(pool.getconn("a"), "SELECT to_regclass('keyed')") == "keyed"
        run(pool.getconn("a"), "DROP TABLE keyed")
        pool.getconn("a").commit()
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0)
        pool.putconn(pool.getconn("a"))
        assert pool.stats()["used"] == 0

    def test_putconn_with_close_closes(self, make_pool: MakePool) -> None:
        pool = make_pool(2, 2)
        conn = pool.getconn()
        pool.putconn(conn, close=True)
        assert conn.closed
        assert (pool.stats()["size"], pool.stats()["closed"]) == (0, 1)

    def test_a_connection_its_user_closed_is_not_kept(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        conn = pool.getconn()
        conn.close()
        pool.putconn(conn)
        assert pool.stats()["size"] == 0
        assert query(pool.getconn(), "SELECT 1") == 1

    def test_closeall_closes_idle_and_used_connections(
        self, make_pool: MakePool, backends: Callable[[], int]
    ) -> None:
        before = backends()
        pool = make_pool(1, 3)
        used, idle = pool.getconn(), pool.getconn()
        pool.putconn(idle)
        assert backends() == before + 2
        pool.closeall()
        assert used.closed
        assert pool.closed
        assert backends() == before

    def test_a_closed_pool_refuses_everything_with_pool_error(self, make_pool: MakePool) -> None:
        pool = make_pool()
        conn = pool.getconn()
        pool.closeall()
        for call in (pool.getconn, lambda: pool.putconn(conn), pool.closeall):
            with pytest.raises(psycopg2.pool.PoolError, match="connection pool is closed"):
                call()

    def test_what_was_not_leased_here_is_refused(self, make_pool: MakePool, dsn: str) -> None:
        pool, other = make_pool(), make_pool()
        foreign = other.getconn()
        twice = pool.getconn()
        pool.putconn(twice)
        with closing(psycopg2.connect(dsn)) as plain:
            for conn in (plain, foreign, twice, None, "no connection"):
                with pytest.raises(psycopg2.pool.PoolError, match="trying to put unkeyed connection"):
                    pool.putconn(conn)
        assert query(foreign, "SELECT 1") == 1

    def test_the_four_errors_are_caught_by_clauses_for_psycopg2(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        pool.getconn("held")
        with pytest.raises(psycopg2.pool.PoolError):
            pool.getconn(timeout=0)
        with pytest.raises(psycopg2.OperationalError):
            pool.getconn(timeout=0)
        pool.closeall()
        with pytest.raises(psycopg2.Error):
            pool.getconn()


class TestSizes:
    @pytest.mark.parametrize(("low", "high"), [(-1, 2), (0, 0), (3, 2)])
    def test_impossible_sizes_are_refused(self, low: int, high: int, make_pool: MakePool) -> None:
        with pytest.raises(SettingsError, match=f"not {low} and {high}"):
            ThreadedConnectionPool(low, high)
        with pytest.raises(SettingsError, match=f"not {low} and {high}"):
            make_pool().resize(low, high)

    def test_nothing_connects_at_construction(self, connects: Connects) -> None:
        ThreadedConnectionPool(5, 20, "host=127.0.0.1 port=1")
        assert connects.count == 0

    def test_maxconn_is_never_exceeded(self, make_pool: MakePool, backends: Callable[[], int]) -> None:
        before = backends()
        pool = make_pool(0, 3)
        held = [pool.getconn() for _ in range(3)]
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0)
        assert backends() == before + 3
        del held

    def test_resize_up_serves_those_that_wait(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        first = pool.getconn()
        waiter = Running(pool.getconn)
        waiting(pool)
        pool.resize(1, 2)
        assert waiter.result() is not first

    def test_resize_down_closes_idle_now_and_used_at_their_return(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 4)
        held = [pool.getconn() for _ in range(4)]
        pool.putconn(held.pop())
        pool.resize(0, 2)
        assert pool.stats()["size"] == 3
        pool.putconn(held.pop())
        assert (pool.stats()["size"], pool.stats()["idle"]) == (2, 0)
        pool.putconn(held.pop())
        pool.putconn(held.pop())
        assert (pool.stats()["size"], pool.stats()["idle"]) == (2, 2)
        assert (pool.minconn, pool.maxconn) == (0, 2)

    def test_a_connection_above_a_lowered_maxconn_is_not_handed_to_a_waiter(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 2)
        one, two = pool.getconn(), pool.getconn()
        waiter = Running(pool.getconn)
        waiting(pool)
        pool.resize(0, 1)
        pool.putconn(one)
        assert waiter.is_alive()
        assert pool.stats()["waiting"] == 1
        pool.putconn(two)
        assert waiter.result() is two
        assert pool.stats()["size"] == 1

    def test_drain_replaces_every_connection(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 2)
        used, idle = pool.getconn(), pool.getconn()
        old = {backend(used), backend(idle)}
        pool.putconn(idle)
        pool.drain()
        assert (pool.stats()["size"], pool.stats()["idle"]) == (1, 0)
        pool.putconn(used)
        assert pool.stats()["size"] == 0
        assert backend(pool.getconn()) not in old

    def test_drain_lets_a_waiter_open_a_connection(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 1)
        conn = pool.getconn()
        waiter = Running(pool.getconn)
        waiting(pool)
        pool.drain()
        pool.putconn(conn)
        assert waiter.result() is not conn


class TestStats:
    def test_size_is_idle_plus_used(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 3)
        held = [pool.getconn() for _ in range(3)]
        pool.putconn(held.pop())
        stats = pool.stats()
        assert (stats["size"], stats["idle"], stats["used"], stats["opened"], stats["leased"]) == (3, 1, 2, 3, 3)

    def test_a_closed_pool_has_no_connections(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 3)
        used = pool.getconn()
        pool.putconn(pool.getconn())
        pool.closeall()
        used.close()
        del used
        stats = pool.stats()
        assert (stats["size"], stats["idle"], stats["used"]) == (0, 0, 0)

    def test_repr_says_how_full_it_is_and_no_secret(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 3)
        pool.putconn(pool.getconn())
        assert repr(pool) == "<ThreadedConnectionPool used=0 idle=1 max=3>"
        pool.closeall()
        assert repr(pool) == "<ThreadedConnectionPool closed max=3>"


class TestConnectionBlock:
    def test_commits_and_gives_back(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        with pool.connection() as conn:
            run(conn, "CREATE TABLE committed (x int)")
        with pool.connection(timeout=0) as conn:
            assert query(conn, "SELECT count(*) FROM committed") == 0
            run(conn, "DROP TABLE committed")
        assert pool.stats()["used"] == 0

    def test_rolls_back_on_an_exception_and_gives_back(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        with pytest.raises(KeyError), pool.connection() as conn:
            run(conn, "CREATE TABLE undone (x int)")
            raise KeyError
        with pool.connection() as conn:
            assert query(conn, "SELECT to_regclass('undone')") is None

    def test_a_commit_that_fails_is_raised_and_gives_back(self, make_pool: MakePool, terminate: Terminate) -> None:
        pool = make_pool(1, 1)
        with pytest.raises(psycopg2.OperationalError), pool.connection() as conn:
            run(conn, "SELECT 1")
            terminate(conn)
        assert (pool.stats()["used"], pool.stats()["size"]) == (0, 0)

    def test_the_error_inside_matters_more_than_the_rollback(
        self, make_pool: MakePool, terminate: Terminate
    ) -> None:
        pool = make_pool(1, 1)
        with pytest.raises(KeyError), pool.connection() as conn:
            run(conn, "SELECT 1")
            terminate(conn)
            raise KeyError

    def test_connections_come_back_idle(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        with pool.connection() as conn:
            run(conn, "SELECT 1")
        with pool.connection() as conn:
            assert conn.info.transaction_status == TRANSACTION_STATUS_IDLE


class TestOptions:
    def test_options_are_the_last_word_of_the_constructor(self, dsn: str) -> None:
        pool = ThreadedConnectionPool(1, 2, dsn, pool_options=PoolOptions(timeout=0.01))
        pool.resize(1, 1)
        conn = pool.getconn()
        with pytest.raises(PoolTimeout, match=r"no connection after 0\.0"):
            pool.getconn()
        pool.putconn(conn)
        pool.closeall()

    def test_a_pool_that_was_closed_while_connecting_keeps_nothing(
        self, make_pool: MakePool, connects: Connects, backends: Callable[[], int]
    ) -> None:
        before = backends()
        pool = make_pool(1, 1)
        connects.held = threading.Event()
        slow = Running(pool.getconn)
        assert connects.entered.wait(DEADLINE)
        pool.closeall()
        connects.held.set()
        assert isinstance(slow.error(), PoolClosed)
        assert backends() == before


class TestWhatAppsLookAt:
    """Attributes that psycopg2 does not document, and that apps read all the same."""

    def test_pool_and_used_are_the_idle_and_the_leased_ones(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 3)
        keyed, plain, idle = pool.getconn("key"), pool.getconn(), pool.getconn()
        pool.putconn(idle)
        assert pool._pool == [idle]
        assert pool._used["key"] is keyed
        assert len(pool._used) == 2
        assert plain in pool._used.values()
        pool.putconn(keyed)
        pool.putconn(plain)
        assert (len(pool._pool), pool._used) == (3, {})

    def test_what_is_returned_is_a_copy(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 1)
        pool.putconn(pool.getconn())
        pool._pool.clear()
        pool._used.clear()
        assert pool.stats()["idle"] == 1

    def test_sizes_and_closed_are_there_as_in_psycopg2(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 3)
        assert (pool.minconn, pool.maxconn, pool.closed) == (1, 3, False)
        pool.closeall()
        assert pool.closed is True


class TestSimpleConnectionPool:
    def test_it_is_the_same_pool_and_threads_may_share_it(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 2, kind=SimpleConnectionPool)
        assert repr(pool) == "<SimpleConnectionPool used=0 idle=0 max=2>"

        def work(_: int) -> int:
            with pool.connection() as conn:
                return int(query(conn, "SELECT 1"))

        assert together(8, work) == [1] * 8
        assert pool.stats()["size"] <= 2

    def test_the_signature_is_psycopg2_s(self) -> None:
        theirs = list(inspect.signature(psycopg2.pool.SimpleConnectionPool.__init__).parameters)
        ours = list(inspect.signature(SimpleConnectionPool.__init__).parameters)
        assert [name for name in ours if name != "pool_options"] == theirs
