"""Hits and misses: counted from any thread, of any cache, with a bound on names, and never twice after a fork."""

from __future__ import annotations

import functools
import gc
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from backend import query_cache
from backend.cache_stats import LONGEST_NAME, MOST_NAMES, OTHER, CacheStats, cache_stats
from tests.support.children import FORKS, in_child
from tests.support.threads import together


@pytest.fixture
def stats() -> CacheStats:
    """A table of its own."""
    return CacheStats()


def test_hits_and_misses_and_their_ratio(stats: CacheStats) -> None:
    for _ in range(3):
        stats.hit("prices")
    stats.miss("prices")
    stats.add("idle", 0, 0)
    assert stats.snapshot() == {
        "idle": {"hits": 0, "misses": 0, "ratio": 0.0},
        "prices": {"hits": 3, "misses": 1, "ratio": 0.75},
    }


def test_no_count_is_lost_between_threads(stats: CacheStats) -> None:
    together(8, lambda number: [(stats.hit("a"), stats.miss("b")) for _ in range(2000)])
    assert stats.snapshot()["a"]["hits"] == stats.snapshot()["b"]["misses"] == 16000


def test_a_functools_cache_is_watched_as_a_decorator(stats: CacheStats) -> None:
    @stats.watch("rates")
    @functools.lru_cache
    def rate(country: str) -> int:
        return len(country)

    assert [rate("de"), rate("de"), rate("fr")] == [2, 2, 2]
    assert stats.snapshot() == {"rates": {"hits": 1, "misses": 2, "ratio": 1 / 3}}


def test_a_cached_method_is_watched_through_its_instance(stats: CacheStats) -> None:
    class Shop:
        @functools.lru_cache  # noqa: B019
        def rate(self, country: str) -> int:
            return len(country)

    shop = Shop()
    stats.watch("rates", shop.rate)
    gc.collect()
    shop.rate("de")
    assert stats.snapshot()["rates"]["misses"] == 1


def test_a_cache_that_is_gone_is_reported_no_more(stats: CacheStats) -> None:
    stats.watch("mine", functools.lru_cache(lambda: None))
    gc.collect()
    assert stats.snapshot() == {}


def test_what_cannot_be_referred_to_weakly_is_watched_all_the_same(stats: CacheStats) -> None:
    class Cache:
        __slots__ = ()

        def cache_info(self) -> Any:
            return SimpleNamespace(hits=4, misses=0)

    stats.watch("mine", Cache())
    gc.collect()
    assert stats.snapshot()["mine"]["hits"] == 4


def test_counts_by_hand_are_added_to_those_of_a_watched_cache(stats: CacheStats) -> None:
    cached = stats.watch("both", functools.lru_cache(lambda: None))
    cached()
    stats.hit("both")
    assert stats.snapshot()["both"] == {"hits": 1, "misses": 1, "ratio": 0.5}


def test_what_counts_nothing_is_refused_with_what_to_do(stats: CacheStats) -> None:
    with pytest.raises(TypeError, match=r"no cache_info\(\); put @cache_stats.watch\('x'\) above @lru_cache"):
        stats.watch("x", len)


def test_a_cache_that_fails_is_logged_once_and_counts_nothing(
    stats: CacheStats, caplog: pytest.LogCaptureFixture
) -> None:
    @stats.watch("broken")
    class Broken:
        @staticmethod
        def cache_info() -> Any:
            raise RuntimeError("no")

    for _ in range(3):
        assert stats.snapshot() == {"broken": {"hits": 0, "misses": 0, "ratio": 0.0}}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_names_are_bounded_and_what_is_beyond_is_counted_together(
    stats: CacheStats, caplog: pytest.LogCaptureFixture
) -> None:
    caches = [stats.watch(f"f{number}", functools.lru_cache(lambda: None)) for number in range(MOST_NAMES + 5)]
    assert len(stats.snapshot()) == MOST_NAMES
    for number in range(10 * MOST_NAMES):
        stats.hit(f"user {number}")
    snapshot = stats.snapshot()
    assert len(snapshot) == len(caches[:MOST_NAMES]) + MOST_NAMES + 1
    assert snapshot[OTHER]["hits"] == 9 * MOST_NAMES
    stats.hit("x" * 10_000)
    assert max(map(len, stats.snapshot())) <= LONGEST_NAME
    assert "is not watched: 200 are already" in caplog.text


def test_a_finalizer_that_counts_inside_the_lock_does_not_stand_still(stats: CacheStats) -> None:
    with stats._lock:
        stats.hit("a")
    assert stats.snapshot()["a"]["hits"] == 1


@FORKS
def test_a_forked_child_counts_from_nothing_and_keeps_its_watched_caches(stats: CacheStats) -> None:
    cached = stats.watch("rates", functools.lru_cache(lambda: None))
    stats.hit("prices")
    with stats._lock:  # as another thread may hold it at the fork
        seen = in_child(lambda: (stats.hit("prices"), cached(), stats.snapshot())[2])
    assert (seen["prices"]["hits"], seen["rates"]["misses"]) == (1, 1)


def test_the_query_cache_is_counted(dsn: str) -> None:
    import psycopg2

    from backend import CachingConnection

    before = cache_stats.snapshot().get("query_cache", {"hits": 0, "misses": 0})
    conn = psycopg2.connect(dsn, connection_factory=CachingConnection)
    with query_cache(), conn.cursor() as cursor:
        for _ in range(3):
            cursor.execute("SELECT 1")
    conn.close()
    after = cache_stats.snapshot()["query_cache"]
    assert (after["hits"] - before["hits"], after["misses"] - before["misses"]) == (2, 1)


def test_clear_forgets_all(stats: CacheStats) -> None:
    stats.hit("a")
    cached = stats.watch("b", functools.lru_cache(lambda: None))
    stats.clear()
    assert stats.snapshot() == {}
    assert cached() is None
