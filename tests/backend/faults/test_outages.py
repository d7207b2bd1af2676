"""PostgreSQL restarted, crashed, away for long: callers hear the cause at once, and are served at once after."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from backend import PoolTimeout
from scripts.stack.postgres import Cluster
from tests.support.threads import Running, until

from .conftest import OwnPool
from .load import SOON, Attempts, Load, check_whole, first_accepted

AT_ONCE = 2.0  # seconds; a refused connect takes a millisecond, sixteen busy threads on two cores the rest
REASONS = ("Connection refused", "starting up", "shutting down", "terminating", "closed the connection", "crash")


@pytest.fixture(autouse=True)
def _the_server_runs_afterwards(own: Cluster) -> Iterator[None]:
    yield
    if own.child is None or not own.child.is_running():
        own.start()


def check_callers_were_told(load: Load, away: float, until_then: float) -> None:
    """Assert that each lease asked for in between failed at once, with the server's or the system's reason.

    Not those of the time when the server starts: it listens before it answers.
    """
    meanwhile = [each for each in load.failures if away < each.start < until_then - AT_ONCE / 2]
    meanwhile = meanwhile or [each for each in load.failures if away < each.start < each.end < until_then]
    assert meanwhile, load
    for each in meanwhile:
        assert isinstance(each.error, psycopg2.OperationalError), each
        assert not isinstance(each.error, PoolTimeout), each
        assert any(reason in str(each.error) for reason in REASONS), each
    waits = sorted(each.end - each.start for each in meanwhile)
    assert waits[len(waits) // 2] < 0.1, waits[-10:]
    assert waits[-1] < AT_ONCE, waits[-10:]


def back_again(own: Cluster) -> float:
    """Start the server; return when it accepted its first connection."""
    asking = Running(first_accepted, own.dsn("app", "app"))
    own.start()  # in this thread: the system ends the server when the thread that started it ends
    return float(asking.result())


@pytest.mark.parametrize("how", ["stop", "kill"], ids=["fast", "immediate"])
def test_after_an_outage_under_load_the_first_lease_is_served_at_once(
    own: Cluster, own_pool: OwnPool, how: str
) -> None:
    """psycopg_pool: 8.6 s after 20 s of outage, 23 s after 34 s, for its back-off knows no caller."""
    pool = own_pool(2, 6, timeout=10.0)
    with Load(pool) as load:
        load.serves(200)
        getattr(own, how)()
        away = time.monotonic()
        load.fails(50)
        until_then = time.monotonic()
        back = back_again(own)
        load.serves(200)
    check_callers_were_told(load, away, until_then)
    late = load.first_served_after(away) - (back - away)
    print(f"{how}: first lease served {late:.3f} s after the server's first answer")
    assert late < SOON
    # What began before the server answered may still fail of it, nothing later.
    assert not load.begun_after(back + SOON), load.begun_after(back + SOON)
    check_whole(pool)


def test_after_eight_seconds_without_a_server_recovery_takes_no_longer(
    own: Cluster, own_pool: OwnPool, attempts: Attempts
) -> None:
    """One attempt at a time; each call of `on_reconnect_failed` has the pool, in the background thread."""
    told: list[tuple[Any, str]] = []
    pool = own_pool(
        2, 6, timeout=10.0, reconnect_timeout=1.0,
        on_reconnect_failed=lambda pool: told.append((pool, threading.current_thread().name)),
    )  # fmt: skip
    with Load(pool) as load:
        load.serves(200)
        own.stop()
        away = time.monotonic()
        until(lambda: time.monotonic() > away + 8.0, "eight seconds pass", 10.0)
        begun, until_then = len(load.failures), time.monotonic()
        back = back_again(own)
        load.serves(200)
    check_callers_were_told(load, away, until_then)
    late = load.first_served_after(away) - (back - away)
    print(f"8 s: first lease served {late:.3f} s after the server's first answer; {begun} callers were told")
    assert late < SOON
    overlaps = [each for each in attempts.overlaps(away) if each[1] < back]
    assert not overlaps, f"one attempt at a time, not {overlaps}"
    assert 5 <= len(told) <= 9
    assert {(which is pool, name) for which, name in told} == {(True, "pool-housekeeper")}
    check_whole(pool)


def test_a_back_off_grown_over_a_long_outage_does_not_keep_callers_waiting(
    own: Cluster, own_pool: OwnPool
) -> None:
    """As after 34 s: the next background attempt is seconds away, and the next caller does not wait for it."""
    pool = own_pool(2, 6, timeout=10.0)
    with Load(pool, threads=4) as load:
        load.serves(20)
        own.stop()
        away = time.monotonic()
        load.fails(5)
    outage = pool._slots.outage
    with pool._slots.lock:
        outage.failures, outage.since = 40, pool._clock() - 34.0
        outage.next_try = pool._clock() + 5.0
    back = back_again(own)
    with Load(pool) as load:
        load.serves(100)
    started = load.served[0] - away
    print(f"after a back-off of 5 s: first lease {load.served[0] - back:.3f} s after the server's first answer")
    assert not load.failures, load
    assert started - (back - away) < SOON + 0.5  # own.start() returns a little later than the first answer
    assert pool.stats()["outage"] == 0.0
    check_whole(pool)


def test_a_pool_without_callers_tries_seldom_and_fills_up_again(
    own: Cluster, own_pool: OwnPool, attempts: Attempts
) -> None:
    """The waits double from 0.1 to 5 s: a few attempts in three seconds, not hundreds; then minconn are there."""
    pool = own_pool(3, 6)
    pool.fill()
    own.stop()
    with pytest.raises(psycopg2.OperationalError):
        pool.getconn()
    before = attempts.count
    away = time.monotonic()
    until(lambda: time.monotonic() > away + 3.0, "three seconds pass")
    tried = attempts.count - before
    assert 2 <= tried <= 60, tried
    own.start()
    back = time.monotonic()
    until(lambda: pool.stats()["idle"] == 3, "the pool is full again")
    print(f"{tried} background attempts in 3 s; full again {time.monotonic() - back:.2f} s after the start")
    assert pool.stats()["outage"] == 0.0


def test_callers_without_patience_are_told_the_cause_as_well(own: Cluster, own_pool: OwnPool) -> None:
    """`timeout=0` does not wait, but "no connection after 0.00 s" is no answer while there is no server."""
    pool = own_pool(2, 4, timeout=0.0)
    with Load(pool, threads=4) as load:
        load.serves(20)
        own.stop()
        away = time.monotonic()
        load.fails(400)
    assert load.begun_after(away + 0.2)
    for each in load.begun_after(away + 0.2):  # leases that broke have been given back by then
        assert not isinstance(each.error, PoolTimeout), each


def test_a_first_connect_that_fails_leaves_an_empty_pool_that_works_later(
    own: Cluster, own_pool: OwnPool, attempts: Attempts
) -> None:
    """A server that is down when the app starts: nothing is lost, nothing stays taken."""
    own.stop()
    pool = own_pool(2, 4)
    with Load(pool) as load:
        load.fails(50)
    assert not load.served
    assert (pool.stats()["size"], pool.stats()["used"], pool.stats()["waiting"]) == (0, 0, 0)
    assert pool.stats()["connect_failures"] == attempts.count
    own.start()
    check_whole(pool)


def test_two_restarts_in_a_row_lose_nothing(own: Cluster, own_pool: OwnPool) -> None:
    pool = own_pool(4, 8, timeout=10.0)
    with Load(pool) as load:
        for _ in range(2):
            load.serves(100)
            own.restart()
        back = time.monotonic()
        load.serves(200)
    assert not load.begun_after(back), load
    check_whole(pool)
