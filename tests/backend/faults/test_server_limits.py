"""Limits that the server sets: the lease that met one fails as with plain psycopg2, the next one is served."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from backend import PoolOptions
from scripts.stack.bouncer import Bouncer
from tests.support.sql import query, run
from tests.support.threads import until

from ..conftest import MakePool
from .load import Load, check_whole


def options(**settings: str) -> dict[str, Any]:
    return {"options": " ".join(f"-c {name}={value}" for name, value in settings.items())}


class TestIdleInTransaction:
    def test_the_lease_that_slept_in_its_transaction_fails_and_the_next_is_served(
        self, make_pool: MakePool
    ) -> None:
        pool = make_pool(1, 1, connect=options(idle_in_transaction_session_timeout="100ms"))
        with pytest.raises(psycopg2.Error) as caught, pool.connection() as conn:
            pid = query(conn, "SELECT pg_backend_pid()")
            until(lambda: conn._record.poll(0), "the server hangs up")
            query(conn, "SELECT 1")
        too_long = psycopg2.errors.IdleInTransactionSessionTimeout
        assert isinstance(caught.value, (psycopg2.OperationalError, too_long))
        with pool.connection() as conn:
            assert query(conn, "SELECT pg_backend_pid()") != pid
        check_whole(pool)

    def test_a_lease_that_only_returns_late_is_not_kept(self, make_pool: MakePool) -> None:
        """The commit is where the server's farewell is read."""
        pool = make_pool(1, 1, connect=options(idle_in_transaction_session_timeout="100ms"))
        conn = pool.getconn()
        query(conn, "SELECT 1")
        until(lambda: conn._record.poll(0), "the server hangs up")
        pool.putconn(conn)
        assert pool.stats()["size"] == 0
        check_whole(pool)

    def test_under_load_sleepers_disturb_nobody_else(self, make_pool: MakePool) -> None:
        """Only the sleepers have the short timeout: others may be slow without being asleep."""
        pool = make_pool(2, 6)

        def oversleep(conn: Any) -> None:
            run(conn, "SET LOCAL idle_in_transaction_session_timeout = '50ms'")
            until(lambda: conn._record.poll(0), "the server hangs up")
            query(conn, "SELECT 2")

        with Load(pool, threads=2, work=oversleep) as sleepers, Load(pool, threads=14) as load:
            sleepers.fails(10)
            load.serves(100)
        assert not load.failures, load
        assert not sleepers.served
        check_whole(pool)


class TestStatementTimeout:
    def test_the_statement_fails_and_the_connection_is_kept(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, statement_timeout_ms=100)
        with pytest.raises(psycopg2.errors.QueryCanceled), pool.connection() as conn:
            pid = conn.info.backend_pid
            query(conn, "SELECT pg_sleep(5)")
        with pool.connection() as conn:
            assert query(conn, "SELECT pg_backend_pid()") == pid
        assert pool.stats()["opened"] == 1
        check_whole(pool)

    def test_under_load_canceled_statements_cost_no_connection(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 6, statement_timeout_ms=50)
        with Load(pool, threads=3, work=lambda conn: query(conn, "SELECT pg_sleep(5)")) as slow:  # noqa: SIM117
            with Load(pool, threads=13, work=lambda conn: run(conn, "SELECT")) as load:
                slow.fails(20)
        assert not [each for each in load.failures if not isinstance(each.error, psycopg2.errors.QueryCanceled)]
        assert all(isinstance(each.error, psycopg2.errors.QueryCanceled) for each in slow.failures), slow
        assert pool.stats()["opened"] <= 6
        check_whole(pool)

    def test_a_reset_that_is_canceled_costs_that_connection_only(self, make_pool: MakePool) -> None:
        """A lease that set a timeout no reset can keep: the connection is closed, close() does not raise."""
        pool = make_pool(1, 1, reset="reset")
        conn = pool.getconn()
        run(conn, "SET statement_timeout = '1ms'")
        conn.commit()
        pool.putconn(conn)
        with pool.connection() as conn:
            assert query(conn, "SHOW statement_timeout") == "0"
        check_whole(pool)


def test_an_error_behind_pgbouncer_leaves_the_pool_whole(bouncer: Bouncer, make_pool: MakePool) -> None:
    url = bouncer.url("app", "app")
    pool = make_pool(0, 4, connect={"dsn": url}, reset="pgbouncer")
    assert pool.options == PoolOptions(reset="pgbouncer")
    with pytest.raises(psycopg2.Error), pool.connection() as conn:
        run(conn, "SELECT 1/0")
    check_whole(pool)
