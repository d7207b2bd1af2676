"""A server that has no connection left: callers share what the pool has, or hear why there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg2
import pytest

from backend import PoolTimeout
from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from tests.support.sql import query
from tests.support.threads import Running, until, waiting

from .conftest import OwnPool
from .load import Attempts, Load, check_whole

FULL = ("too many clients already", "remaining connection slots are reserved", "sorry, too many")
ROOM = 7  # ten, less three for superusers


@pytest.fixture(scope="module")
def small() -> Iterator[Cluster]:
    """A cluster for ten connections."""
    with Stack() as stack:
        room = {"max_connections": "10", "superuser_reserved_connections": "3", "max_wal_senders": "0"}
        running = stack.postgres(room)
        running.create_role("app", "pass word")
        running.create_database("app", "app")
        yield running


@pytest.fixture
def hog(small: Cluster) -> Iterator[ExitStack]:
    """Others' connections; those entered here are closed at the end."""
    with ExitStack() as others:
        yield others


def take(hog: ExitStack, small: Cluster, count: int) -> list[Any]:
    """Take connections away, when the last test's have gone."""
    busy = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
    until(lambda: small.execute(busy)[0][0] == 0, "earlier connections have ended")
    dsn = small.dsn("app", "app")
    return [hog.enter_context(closing(psycopg2.connect(dsn))) for _ in range(count)]


def test_while_a_lease_is_out_callers_wait_for_it_instead_of_failing(
    small: Cluster, hog: ExitStack, own_pool: OwnPool, attempts: Attempts
) -> None:
    """Sixteen threads, a pool of six, room for two: all are served, and the server is knocked at seldom."""
    take(hog, small, ROOM - 2)
    pool = own_pool(2, 6, small.dsn("app", "app"), timeout=10.0)
    start = time.monotonic()
    with Load(pool) as load:
        load.serves(2000, 30.0)
    took = time.monotonic() - start
    stats = pool.stats()
    refused = attempts.count - stats["opened"]
    print(f"room for 2 of 6: {len(load.served)} leases in {took:.1f} s, {refused} refused connects")
    assert not load.failures, load
    assert stats["size"] == 2
    # Six at once at the start; then the waits double up to five seconds: not one per caller.
    assert 0 < refused <= 6 + 12 + 4 * took, refused


def test_a_waiting_caller_is_served_by_the_lease_that_comes_back(
    small: Cluster, hog: ExitStack, own_pool: OwnPool
) -> None:
    take(hog, small, ROOM - 1)
    pool = own_pool(0, 3, small.dsn("app", "app"), timeout=10.0)
    conn = pool.getconn()
    pid = conn.info.backend_pid
    caller = Running(pool.getconn)
    waiting(pool)
    pool.putconn(conn)
    del conn
    served = caller.result()
    assert served.info.backend_pid == pid
    pool.putconn(served)


def test_a_caller_that_waited_in_vain_is_told_what_the_server_said(
    small: Cluster, hog: ExitStack, own_pool: OwnPool
) -> None:
    take(hog, small, ROOM - 1)
    pool = own_pool(0, 3, small.dsn("app", "app"), timeout=0.3)
    conn = pool.getconn()
    with pytest.raises(psycopg2.OperationalError) as caught:
        Running(pool.getconn).result()
    assert any(text in str(caught.value) for text in FULL)
    pool.putconn(conn)


def test_without_a_lease_out_callers_are_told_the_cause_at_once(
    small: Cluster, hog: ExitStack, own_pool: OwnPool, attempts: Attempts
) -> None:
    others = take(hog, small, ROOM)
    pool = own_pool(0, 4, small.dsn("app", "app"), timeout=10.0)
    with Load(pool) as load:
        load.fails(100)
    for each in load.failures:
        assert not isinstance(each.error, PoolTimeout), each
        assert any(text in str(each.error) for text in FULL), each
    assert attempts.count <= len(load.failures)
    others[0].close()
    until(lambda: _is_served(pool), "there is room for one again")
    others[1].close()
    with Load(pool) as load:
        load.serves(100)
    assert not load.failures, load


def _is_served(pool: Any) -> bool:
    try:
        with pool.connection() as conn:
            return bool(query(conn, "SELECT 1") == 1)
    except psycopg2.OperationalError:
        return False


def test_callers_get_their_own_connections_once_there_is_room(
    small: Cluster, hog: ExitStack, own_pool: OwnPool
) -> None:
    """Who waits for a lease that stays out is served within the back-off by an attempt of the pool's own."""
    others = take(hog, small, ROOM - 1)
    pool = own_pool(0, 3, small.dsn("app", "app"), timeout=10.0)
    held = pool.getconn()
    caller = Running(pool.getconn)
    waiting(pool)
    for each in others:
        each.close()
    start = time.monotonic()
    second = caller.result()
    print(f"served {time.monotonic() - start:.2f} s after there was room")
    for conn in (held, second):
        pool.putconn(conn)
    check_whole(pool)
