"""Alive, ready, and how full: told in time, whatever the database and the traffic do."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from backend import get_db_connection, get_pool, health, install, readiness
from backend.readiness import Readiness
from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from tests.support.proxy import Proxy
from tests.support.threads import Running, together, until, waiting


@pytest.fixture(autouse=True)
def _fresh_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_of_this_process", Readiness(health._pool_states))


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[pytest.MonkeyPatch]:
    """The environment of a pool of one connection."""
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DB_POOL_MAX", "1")
    yield monkeypatch


@pytest.fixture
def through(settings: pytest.MonkeyPatch, cluster: Cluster, database: str) -> Iterator[Proxy]:
    """A proxy before the database, with a connection made through it; answers are not kept."""
    settings.setattr(readiness, "KEEP_ANSWER", 0.0)
    with Proxy(cluster.port) as proxy:
        settings.setenv("DATABASE_URL", cluster.url(database, "app", proxy.port))
        with closing(get_db_connection()) as conn, conn.cursor() as cursor:
            cursor.execute("SELECT 1")
        assert states() == (True, ["ok"])
        yield proxy
        proxy.resume()
        get_pool().closeall()


def states() -> tuple[bool, list[str]]:
    """Ask, and return the answer without its time."""
    is_ready, answer = health.ready()
    assert answer["status"] == ("ok" if is_ready else "unavailable")
    return is_ready, answer["checks"]["database"]


def test_live_needs_nothing() -> None:
    assert health.live() == {"status": "ok"}


def test_ready_before_any_pool_was_used() -> None:
    assert states() == (True, ["not used yet"])
    assert health.pool_figures()["pools"] == []


def test_the_answer_says_how_long_the_check_took_and_nothing_of_where(settings: Any, url: str) -> None:
    get_pool()
    is_ready, answer = health.ready()
    assert is_ready
    assert list(answer) == ["status", "checks", "duration_ms"]
    assert 0 < answer["duration_ms"] < 10_000
    assert "127.0.0.1" not in json.dumps(answer)


def test_ready_asks_each_pool(settings: Any, dsn: str) -> None:
    get_pool()
    install(1, 1)
    psycopg2.connect(dsn).close()
    assert states() == (True, ["ok", "ok"])
    figures = health.pool_figures()["pools"]
    assert [pool["name"] for pool in figures] == ["DATABASE_URL", "psycopg2.connect"]
    assert "password" not in str(figures)


def test_one_database_that_is_down_is_not_ready(settings: Any, dsn: str) -> None:
    get_pool()
    install(1, 1)
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect("host=127.0.0.1 port=1 dbname=x user=x")
    assert states() == (False, ["ok", "unreachable"])


def test_a_pool_that_is_all_in_use_is_ready_and_is_not_queued_for(settings: Any) -> None:
    held = get_db_connection()
    waiter = Running(get_db_connection)
    waiting(get_pool())
    assert states() == (True, ["busy"])
    assert get_pool().stats()["timeouts"] == 0
    held.close()
    waiter.result().close()


def test_a_pool_that_sheds_load_is_ready(settings: pytest.MonkeyPatch) -> None:
    """Overload is no reason to take a worker out: the others would get its share as well."""
    settings.setenv("DB_POOL_MAX_WAITING", "1")
    held = get_db_connection()
    waiter = Running(get_db_connection)
    waiting(get_pool())
    assert states() == (True, ["busy"])
    assert get_pool().stats()["refused"] == 0
    held.close()
    waiter.result().close()


def test_a_suspended_pool_is_busy(settings: Any) -> None:
    get_pool().suspend()
    assert states() == (True, ["busy"])


def test_a_pool_whose_callers_wait_out_an_outage_is_not_busy(settings: pytest.MonkeyPatch) -> None:
    settings.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert states() == (True, ["not used yet"])
    pool = get_pool()
    with pytest.raises(psycopg2.OperationalError):
        pool.getconn()
    settings.setattr(health, "_of_this_process", Readiness(health._pool_states))
    assert states() == (False, ["unreachable"])


def test_a_pool_whose_only_connection_is_being_opened_is_not_busy(through: Proxy) -> None:
    """Nobody holds one that could be given back, and on a network that swallows everything it never opens."""
    pool = get_pool()
    pool.putconn(pool.getconn(), close=True)
    through.stall()
    opening = Running(pool.getconn)
    until(lambda: pool.stats()["connecting"] == pool.maxconn == 1, "it connects")
    assert health._state(pool) == "unreachable"
    through.resume()
    pool.putconn(opening.result())


def test_a_closed_pool_is_none(settings: Any) -> None:
    get_pool().closeall()
    assert states() == (True, ["not used yet"])


def test_an_answer_is_kept_for_a_moment(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    get_pool()
    for _ in range(5):
        health.ready()
    assert get_pool().stats()["leased"] == 1
    monkeypatch.setattr(readiness, "KEEP_ANSWER", 0.0)
    health.ready()
    assert get_pool().stats()["leased"] == 2


def test_draining_is_unready_at_once_and_can_be_undone(settings: Any) -> None:
    get_pool()
    assert health.ready()[0]
    health.drain()
    assert health.is_draining()
    assert health.ready() == (False, {"status": "draining", "checks": {}, "duration_ms": 0.0})
    assert health.live() == {"status": "ok"}
    health.undrain()
    assert health.ready()[0]


def test_a_connection_that_went_bad_is_replaced_and_not_told(through: Proxy) -> None:
    through.cut()
    assert states() == (True, ["ok"])


def test_a_ping_that_hangs_is_answered_within_the_deadline(through: Proxy) -> None:
    """The whole of it: ping, hang up, connect again into the same silence."""
    through.stall()
    start = time.monotonic()
    is_ready, said = states()
    assert (is_ready, said) == (False, ["no answer"])
    assert time.monotonic() - start < readiness.DEADLINE + 3  # 3: a slow machine; libpq alone would wait 5 more
    for _ in range(20):
        assert states()[0] is False
    assert time.monotonic() - start < readiness.DEADLINE + 6
    through.resume()
    until(lambda: states()[0], "ready again")


def test_a_first_connect_that_hangs_is_answered_within_the_deadline(
    settings: pytest.MonkeyPatch, cluster: Cluster, database: str
) -> None:
    with Proxy(cluster.port) as proxy:
        settings.setenv("DATABASE_URL", cluster.url(database, "app", proxy.port))
        get_pool()
        proxy.stall()
        start = time.monotonic()
        assert states() == (False, ["no answer"])
        assert time.monotonic() - start < readiness.DEADLINE + 3
        proxy.resume()
        until(lambda: states()[0], "ready again")
        get_pool().closeall()


def test_two_hundred_probes_of_a_network_that_swallows_everything_cost_one_check(through: Proxy) -> None:
    through.stall()
    start = time.monotonic()
    answers = together(200, lambda number: health.ready()[0], timeout=30)
    assert time.monotonic() - start < readiness.DEADLINE + 10
    assert not all(answers)  # whoever comes while the check runs gets the last answer, if that is fresh
    assert states() == (False, ["no answer"])
    assert through.accepted <= 3


def test_a_stopped_server_is_unready_and_ready_at_the_first_success(
    settings: pytest.MonkeyPatch, own: Cluster
) -> None:
    settings.setattr(readiness, "KEEP_ANSWER", 0.0)
    settings.setenv("DATABASE_URL", own.url("app", "app"))
    get_pool()
    assert states() == (True, ["ok"])
    own.stop()
    assert states() == (False, ["unreachable"])
    own.start()
    until(lambda: states()[0], "ready again")


def test_pgbouncer_that_is_paused_is_unready_within_the_deadline(
    settings: pytest.MonkeyPatch, own_stack: Stack, own: Cluster
) -> None:
    settings.setattr(readiness, "KEEP_ANSWER", 0.0)
    bouncer = own_stack.pgbouncer(own, ["app"], ["app"], name="paused")
    if bouncer is None or bouncer.child is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    settings.setenv("DATABASE_URL", bouncer.url("app", "app"))
    settings.setenv("DB_PGBOUNCER", "transaction")
    get_pool()
    assert states() == (True, ["ok"])
    bouncer.child.process.send_signal(signal.SIGUSR1)  # PAUSE
    until(lambda: bouncer.child.says("PAUSE"), "it says that it is paused")
    start = time.monotonic()
    is_ready, said = states()
    assert not is_ready and said in (["no answer"], ["unreachable"])  # as far as the second try has got
    assert time.monotonic() - start < readiness.DEADLINE + 3
    bouncer.child.process.send_signal(signal.SIGUSR2)  # RESUME
    until(lambda: states()[0], "ready again")
    get_pool().closeall()
    bouncer.stop()


def test_figures_say_who_holds_and_who_waits(settings: Any) -> None:
    held = get_db_connection()
    with held.cursor() as cursor:
        cursor.execute("SELECT 1")
    waiter = Running(get_db_connection)
    waiting(get_pool())
    figures = health.pool_figures()
    (pool,) = figures["pools"]
    (holder,), (queued,) = pool["holders"], pool["waiters"]
    held.close()
    waiter.result().close()
    assert figures["pid"] > 0
    assert (holder["thread"], holder["state"]) == ("MainThread", "idle in a transaction")
    assert set(holder) == {"thread", "seconds", "state", "taken_at", "now_at"}
    assert set(queued) == {"thread", "seconds", "now_at"}
    assert 0 <= queued["seconds"] < 60
    assert "threads.py" in queued["now_at"]
    assert (pool["used"], pool["waiting"]) == (1, 1)
    json.dumps(figures)


def test_waiters_stand_in_the_order_in_which_they_are_served(settings: Any) -> None:
    held = get_db_connection()
    waiters = []
    for number in range(3):
        waiters.append(Running(lambda: get_db_connection().close()))
        waiting(get_pool(), number + 1)
    seconds = [each["seconds"] for each in health.pool_figures()["pools"][0]["waiters"]]
    held.close()
    for waiter in waiters:
        waiter.join()
    assert seconds == sorted(seconds, reverse=True)
    assert len(seconds) == 3
