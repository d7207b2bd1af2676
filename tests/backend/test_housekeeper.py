"""One thread for all pools: it comes when due, survives what a pool raises, and ends with the last pool."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import pytest

from backend import housekeeper as module
from backend.housekeeper import Housekeeper, housekeeper
from tests.support.children import FORKS, in_child
from tests.support.threads import DEADLINE, until

from .conftest import MakePool


class Pool:
    """All that the housekeeper knows of a pool."""

    def __init__(self, again: float | None = 60.0, error: Exception | None = None) -> None:
        self.again, self.error = again, error
        self.visits = 0
        self.visited = threading.Event()
        self.threads: set[str] = set()

    def _housekeep(self) -> float | None:
        self.visits += 1
        self.threads.add(threading.current_thread().name)
        self.visited.set()
        if self.error is not None:
            raise self.error
        return self.again


def ended(keeper: Housekeeper) -> Callable[[], bool]:
    return lambda: keeper._thread is None


@pytest.fixture
def keeper() -> Housekeeper:
    """One of this test's own."""
    return Housekeeper()


def test_nothing_runs_before_a_pool_is_watched(keeper: Housekeeper) -> None:
    assert keeper._thread is None


def test_a_pool_is_visited_by_a_daemon_thread_and_again_when_it_said(keeper: Housekeeper) -> None:
    pool = Pool(again=0.01)
    keeper.watch(pool)
    until(lambda: pool.visits >= 3, "three visits")
    assert keeper._thread is not None
    assert keeper._thread.daemon
    assert pool.threads == {"pool-housekeeper"}
    pool.again = None
    until(ended(keeper), "the thread has ended")


def test_a_pool_that_wants_none_is_not_visited_again(keeper: Housekeeper) -> None:
    pool = Pool(again=None)
    keeper.watch(pool)
    until(ended(keeper), "the thread has ended")
    assert pool.visits == 1


def test_it_comes_in_so_many_seconds_at_the_latest(keeper: Housekeeper) -> None:
    pool = Pool()
    keeper.watch(pool, within=3600.0)
    assert not pool.visited.wait(0.05)
    keeper.watch(pool, within=7200.0)  # later than is known already
    assert not pool.visited.wait(0.05)
    keeper.watch(pool, within=0.01)
    assert pool.visited.wait(DEADLINE)
    assert pool.visits == 1


def test_one_thread_serves_all_pools(keeper: Housekeeper) -> None:
    pools = [Pool(again=0.01) for _ in range(5)]
    for pool in pools:
        keeper.watch(pool)
    for pool in pools:
        until(lambda pool=pool: pool.visits >= 2, "each is visited")
    assert sum(thread is keeper._thread for thread in threading.enumerate()) == 1
    for pool in pools:
        pool.again = None
    until(ended(keeper), "the thread has ended")


def test_a_pool_that_raises_does_not_stop_the_others(
    keeper: Housekeeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.02)
    bad, good = Pool(error=KeyError("broken")), Pool(again=0.01)
    keeper.watch(bad)
    keeper.watch(good)
    until(lambda: good.visits >= 3 and bad.visits >= 3, "both are visited again and again")
    assert "looking after a pool failed" in caplog.text
    assert "KeyError: 'broken'" in caplog.text
    bad.error, bad.again, good.again = None, None, None
    until(ended(keeper), "the thread has ended")


def test_pools_are_held_weakly_and_the_thread_ends_with_the_last_one(
    keeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg_pool keeps its workers as long as the process: a pool nobody uses any more is never collected."""
    monkeypatch.setattr(module, "RETRY", 0.02)
    pools = [Pool(again=3600.0) for _ in range(3)]
    for pool in pools:
        keeper.watch(pool)
    for pool in pools:
        assert pool.visited.wait(DEADLINE)
    gone = [weakref.ref(pool) for pool in pools]
    del pool, pools
    gc.collect()
    until(lambda: not any(ref() for ref in gone), "the pools were collected")
    until(ended(keeper), "the thread has ended")


def test_it_starts_again_for_a_pool_that_comes_later(keeper: Housekeeper) -> None:
    first, second = Pool(again=None), Pool(again=None)
    keeper.watch(first)
    until(ended(keeper), "the thread has ended")
    keeper.watch(second)
    assert second.visited.wait(DEADLINE)
    until(ended(keeper), "the thread has ended again")


def test_pools_that_come_while_it_ends_are_visited_all_the_same(keeper: Housekeeper) -> None:
    """The decision to end and the word of a new pool are made under one lock: none falls between."""
    for _ in range(300):
        pool = Pool(again=None)
        keeper.watch(pool)
        assert pool.visited.wait(DEADLINE)


@FORKS
def test_a_child_has_a_thread_of_its_own(keeper: Housekeeper) -> None:
    pool = Pool(again=3600.0)
    keeper.watch(pool)
    assert pool.visited.wait(DEADLINE)

    def child() -> tuple[int, bool]:
        mine = Pool(again=None)
        keeper.watch(mine)
        return mine.visits if mine.visited.wait(DEADLINE) else 0, pool in keeper._due

    assert in_child(child) == (1, False)
    assert keeper._thread is not None


def test_a_pool_that_nobody_refers_to_is_collected_with_its_connections(
    dsn: str, backends: Callable[[], int]
) -> None:
    from backend import ThreadedConnectionPool

    before = backends()
    pool = ThreadedConnectionPool(1, 2, dsn)
    pool.putconn(pool.getconn())
    gone = weakref.ref(pool)
    del pool

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    until(is_gone, "the pool was collected")
    until(lambda: backends() <= before, "its connections are closed")


def test_a_closed_pool_is_no_longer_looked_after(make_pool: MakePool) -> None:
    pool = make_pool(1, 1)
    pool.putconn(pool.getconn())
    pool.closeall()
    housekeeper.watch(pool)
    until(lambda: pool not in housekeeper._due, "it is forgotten")
