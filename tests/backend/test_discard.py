"""A session is like new after a function of ours was called, and the function's plan is still there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from backend import one, stored
from backend.stored import Stored
from tests.support.sql import backend, query, run

from .conftest import MakePool
from .test_reset import DIRT

MORE = {
    "prepared statement": (
        lambda conn: _do(conn, "PREPARE left_behind AS SELECT 1"),
        lambda conn: query(conn, "SELECT EXISTS (SELECT FROM pg_prepared_statements)"),
    ),
    "held cursor": (
        lambda conn: _do(conn, "DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1"),
        lambda conn: query(conn, "SELECT EXISTS (SELECT FROM pg_cursors WHERE is_holdable)"),
    ),
    "sequence's last value": (
        lambda conn: _do(conn, "CREATE TEMP SEQUENCE left_behind; SELECT nextval('left_behind')"),
        lambda conn: _has_lastval(conn),
    ),
    "encoding": (
        lambda conn: _do(conn, "SET client_encoding = 'LATIN1'"),
        lambda conn: [query(conn, "SHOW client_encoding"), query(conn, "SELECT 'é'")] != ["UTF8", "é"],
    ),
    "encoding by method": (
        lambda conn: conn.set_client_encoding("LATIN1"),
        lambda conn: (query(conn, "SHOW client_encoding"), conn.encoding) != ("UTF8", "UTF8"),
    ),
    "dates": (
        lambda conn: _do(conn, "SET datestyle = 'German'"),
        lambda conn: query(conn, "SELECT DATE '2024-02-29'").year != 2024,
    ),
    "strings": (
        lambda conn: _do(conn, "SET standard_conforming_strings = off"),
        lambda conn: query(conn, "SHOW standard_conforming_strings") != "on",
    ),
}  # fmt: skip
ALL = {**DIRT, **MORE}


def _do(conn: Any, statement: str) -> None:
    run(conn, statement)
    conn.commit()


def _has_lastval(conn: Any) -> bool:
    try:
        return query(conn, "SELECT lastval()") is not None
    except psycopg2.OperationalError:
        return False
    finally:
        conn.rollback()


@pytest.fixture
def called(make_pool: MakePool) -> Iterator[Stored]:
    """A function in the database that answers 42."""
    made = stored(one("SELECT 42 AS number"), "tests_discard")
    pool = make_pool(1, 1)
    with pool.connection() as conn:
        run(conn, made.up)
    yield made
    with pool.connection() as conn:
        run(conn, made.down)


@pytest.fixture
def role(cluster: Any) -> None:
    """The tests' role may become another one."""
    cluster.execute("GRANT pg_read_all_stats TO app")


def last_of(cluster: Any, pid: int) -> str:
    """Return the last statement that a backend was sent."""
    return str(cluster.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (pid,))[0][0])


@pytest.mark.usefixtures("role")
@pytest.mark.parametrize("state", sorted(ALL))
@pytest.mark.parametrize("autocommit", [False, True])
def test_nothing_of_a_lease_that_called_one_is_left(
    make_pool: MakePool, called: Stored, state: str, autocommit: bool
) -> None:
    make_dirty, is_dirty = ALL[state]
    pool = make_pool(1, 1, reset="reset")
    conn = pool.getconn()
    assert not is_dirty(conn)
    conn.rollback()
    pid = backend(conn)
    conn.rollback()
    conn.autocommit = autocommit
    assert called.fetch(conn) == {"number": 42}
    if not autocommit:
        conn.commit()
    make_dirty(conn)
    pool.putconn(conn)
    again = pool.getconn(timeout=0)
    assert again.info.backend_pid == pid  # it was cleaned, not replaced
    assert again.autocommit is False
    assert not is_dirty(again)


def test_plans_are_thrown_away_only_where_no_function_was_called(
    make_pool: MakePool, called: Stored, cluster: Any
) -> None:
    pool = make_pool(1, 1, reset="reset")
    plain = lambda conn: run(conn, "SELECT 1")
    for asks, left in ((called.fetch, "DISCARD SEQUENCES"), (plain, "DISCARD ALL")) * 2:
        conn = pool.getconn()
        pid = conn.info.backend_pid
        asks(conn)
        pool.putconn(conn)
        assert last_of(cluster, pid).endswith(left)


def test_dates_of_a_server_that_writes_them_otherwise_stay_readable(
    make_pool: MakePool, called: Stored, cluster: Any
) -> None:
    cluster.execute("ALTER ROLE app SET datestyle = 'German'")
    try:
        pool = make_pool(1, 1, reset="reset")
        for _ in range(3):
            with pool.connection() as conn:
                called.fetch(conn)
                assert query(conn, "SELECT DATE '2024-02-29'").year == 2024
    finally:
        cluster.execute("ALTER ROLE app RESET datestyle")


def test_an_encoding_of_the_pools_own_stays(make_pool: MakePool, called: Stored) -> None:
    pool = make_pool(1, 1, reset="reset", configure=lambda conn: conn.set_client_encoding("LATIN1"))
    for _ in range(3):
        with pool.connection() as conn:
            called.fetch(conn)
            assert query(conn, "SHOW client_encoding") == "LATIN1"
            assert query(conn, "SELECT 'é'::text") == "é"


def test_a_session_of_its_own_isolation_is_reset_whole(make_pool: MakePool, called: Stored, cluster: Any) -> None:
    pool = make_pool(
        1, 1, reset="reset", configure=lambda conn: conn.set_session(isolation_level="REPEATABLE READ")
    )
    for _ in range(2):
        conn = pool.getconn()
        called.fetch(conn)
        assert query(conn, "SHOW transaction_isolation") == "repeatable read"
        pool.putconn(conn)


def test_a_server_that_is_gone_costs_the_connection_and_nothing_else(
    make_pool: MakePool, called: Stored, cluster: Any
) -> None:
    pool = make_pool(1, 1, reset="reset")
    conn = pool.getconn()
    called.fetch(conn)
    pid = conn.info.backend_pid
    conn.commit()
    cluster.execute("SELECT pg_terminate_backend(%s)", (pid,))
    pool.putconn(conn)
    with pool.connection() as again:
        assert backend(again) != pid
