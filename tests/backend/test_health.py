"""Alive, ready, and how full: told at once, whatever the database and the traffic do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from backend import get_db_connection, get_pool, health, install
from scripts.stack.postgres import Cluster
from tests.support.proxy import Proxy
from tests.support.threads import Running, until, waiting


@pytest.fixture(autouse=True)
def _fresh_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_last", (float("-inf"), False, {}))


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[pytest.MonkeyPatch]:
    """The environment of a pool of one connection."""
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DB_POOL_MAX", "1")
    yield monkeypatch


def test_live_needs_nothing() -> None:
    assert health.live() == {"status": "ok"}


def test_ready_before_any_pool_was_used() -> None:
    assert health.ready() == (True, {"status": "ok", "database": ["not used yet"]})
    assert health.pool_figures() == {"pools": []}


def test_ready_asks_each_pool(settings: Any, dsn: str) -> None:
    get_pool()
    install(1, 1)
    psycopg2.connect(dsn).close()
    assert health.ready() == (True, {"status": "ok", "database": ["ok", "ok"]})
    figures = health.pool_figures()["pools"]
    assert [pool["name"] for pool in figures] == ["DATABASE_URL", "psycopg2.connect"]
    assert "password" not in str(figures)


def test_one_database_that_is_down_is_not_ready(settings: Any, dsn: str) -> None:
    get_pool()
    install(1, 1)
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect("host=127.0.0.1 port=1 dbname=x user=x")
    is_ready, answer = health.ready()
    assert (is_ready, answer) == (False, {"status": "unavailable", "database": ["ok", "unreachable"]})


def test_a_pool_that_is_all_in_use_is_ready_and_is_not_queued_for(settings: Any) -> None:
    held = get_db_connection()
    waiter = Running(get_db_connection)
    waiting(get_pool())
    start = time.monotonic()
    assert health.ready() == (True, {"status": "ok", "database": ["busy"]})
    assert time.monotonic() - start < 5
    held.close()
    waiter.result().close()


def test_a_pool_that_sheds_load_is_ready(settings: pytest.MonkeyPatch) -> None:
    """Overload is no reason to take a worker out: the others would get its share as well."""
    settings.setenv("DB_POOL_MAX_WAITING", "1")
    held = get_db_connection()
    waiter = Running(get_db_connection)
    waiting(get_pool())
    assert health.ready() == (True, {"status": "ok", "database": ["busy"]})
    held.close()
    waiter.result().close()


def test_a_closed_pool_is_none(settings: Any) -> None:
    get_pool().closeall()
    assert health.ready()[1]["database"] == ["not used yet"]


def test_an_answer_is_kept_for_a_moment(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    get_pool()
    for _ in range(5):
        health.ready()
    assert get_pool().stats()["leased"] == 1
    monkeypatch.setattr(health, "KEEP_ANSWER", 0.0)
    health.ready()
    assert get_pool().stats()["leased"] == 2


def test_a_network_that_swallows_everything_costs_one_thread_and_not_every_one_that_asks(
    settings: pytest.MonkeyPatch, cluster: Cluster, database: str
) -> None:
    with Proxy(cluster.port) as proxy:
        settings.setenv("DATABASE_URL", cluster.url(database, "app", proxy.port))
        settings.setattr(health, "PATIENCE", 0.05)
        with closing(get_db_connection()) as conn, conn.cursor() as cursor:
            cursor.execute("SELECT 1")
        proxy.stall()
        stuck = Running(health.ready)
        until(health._lock.locked, "the check has begun")
        for _ in range(3):
            assert health.ready() == (False, {"status": "unavailable", "database": ["no answer"]})
        proxy.resume()
        assert stuck.result()[0]
        assert health.ready()[0]
