"""Backends that an administrator, a failover or the out-of-memory killer ends, under load."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from scripts.stack.postgres import Cluster
from tests.support.sql import query
from tests.support.threads import Running, together

from ..conftest import MakePool
from .load import Load, check_whole

Terminate = Callable[..., None]
KILL_ALL = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = 'app' AND datname = %s"
)


@pytest.fixture
def admin(cluster: Cluster) -> Iterator[Any]:
    """A superuser's connection."""
    with closing(cluster.connect()) as conn:
        yield conn


def fill(pool: Any) -> list[int]:
    """Open all of a pool's connections; return their backends."""
    held = [pool.getconn() for _ in range(pool.maxconn)]
    pids = [conn.info.backend_pid for conn in held]
    for conn in held:
        pool.putconn(conn)
    return pids


@pytest.mark.parametrize("threads", [1, 16])
def test_after_all_idle_backends_were_terminated_none_of_the_next_thousand_leases_fails(
    make_pool: MakePool, terminate: Terminate, threads: int
) -> None:
    """Of 100 leases psycopg2's pool, SQLAlchemy and psycopg_pool fail 8; psycopg_pool with check= takes 30 s."""
    pool = make_pool(8, 8)
    victims = fill(pool)
    terminate(*victims)
    share = 1000 // threads + 1

    def work(number: int) -> int:
        for _ in range(share):
            with pool.connection() as conn:
                assert query(conn, "SELECT 1") == 1
        return share

    start = time.monotonic()
    assert sum(together(threads, work)) >= 1000
    print(f"{threads} threads: {share * threads} leases after 8 dead backends, {time.monotonic() - start:.2f} s")
    check_whole(pool)
    assert pool.stats()["closed_for"] == {"broken": 8}


def test_backends_terminated_in_use_fail_their_own_lease_and_no_later_one(
    make_pool: MakePool, admin: Any, database: str
) -> None:
    pool = make_pool(0, 6)
    with Load(pool) as load:
        load.serves(200)
        query(admin, KILL_ALL, database)
        gone = time.monotonic()
        load.serves(500)
    assert not load.begun_after(gone)
    assert len(load.failures) <= 6, load
    assert all(isinstance(each.error, psycopg2.OperationalError) for each in load.failures), load
    check_whole(pool)


def test_one_terminated_backend_fails_one_lease_at_most(make_pool: MakePool, admin: Any, database: str) -> None:
    pool = make_pool(0, 6)
    with Load(pool) as load:
        load.serves(200)
        one = "SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND datname = %s LIMIT 1"
        query(admin, f"SELECT pg_terminate_backend(({one}), 5000)", database)
        load.serves(500)
    assert len(load.failures) <= 1, load
    check_whole(pool)


def test_backends_terminated_in_a_loop_fail_one_lease_each_at_most(
    make_pool: MakePool, admin: Any, database: str
) -> None:
    pool = make_pool(2, 6)
    killed = 0
    with Load(pool) as load:
        load.serves(100)
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            killed += query(admin, KILL_ALL, database)
            load.serves(5)
        gone = time.monotonic()
        load.serves(200)
    assert killed >= 10
    # One that dies between its connect and its first query, or while it logs in, is one of the killed as well.
    assert len(load.failures) <= killed, load
    assert not load.begun_after(gone), load
    assert all(isinstance(each.error, psycopg2.OperationalError) for each in load.failures), load
    check_whole(pool)


def test_a_backend_that_dies_between_two_statements_of_a_lease_ends_that_lease_only(
    make_pool: MakePool, terminate: Terminate
) -> None:
    """The statement is not repeated, the lease not moved to another connection; the next lease is served."""
    pool = make_pool(1, 1)
    first_done, may_go_on = threading.Event(), threading.Event()
    pid = []

    def victim() -> None:
        with pool.connection() as conn:
            pid.append(conn.info.backend_pid)
            query(conn, "SELECT 1")
            first_done.set()
            assert may_go_on.wait(10)
            query(conn, "SELECT 2")

    running = Running(victim)
    assert first_done.wait(10)
    waiter = Running(lambda: _ask(pool))
    terminate(*pid)
    may_go_on.set()
    assert isinstance(running.error(), psycopg2.OperationalError)
    assert waiter.result() == 1
    check_whole(pool)


def _ask(pool: Any) -> Any:
    with pool.connection() as conn:
        return query(conn, "SELECT 1")
