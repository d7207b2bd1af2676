"""Random operations of two tenants find nothing wrong with the cache, and find what is wrong with broken ones."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest

from backend import Cache
from scripts.bench.cache import trial
from scripts.bench.cache.trial import ROWS, TENANTS, Outcome, Trial, prepare, try_memory, try_redis
from scripts.stack.redis import Redis


def test_nothing_is_stale_or_another_tenant_s_in_memory(dsn: str) -> None:
    outcome = try_memory(dsn, 20_000)
    assert (outcome.breaches, outcome.told) == (0, [])
    assert outcome.operations == 20_000 and outcome.writes > 300 and outcome.rollbacks > 100
    assert outcome.loads < 8_000  # it is a cache


def test_nothing_is_stale_or_another_tenant_s_in_redis_that_is_killed_meanwhile(dsn: str, redis_server) -> None:
    outcome = try_redis(dsn, redis_server, 16_000, restart_every=1.0)
    assert (outcome.breaches, outcome.told) == (0, [])
    assert outcome.operations == 16_000 and outcome.restarts >= 1 and outcome.writes > 300


class TooEarly(Cache):
    """Invalidates before the commit, as a call in the wrong place does."""

    def invalidate(self, *tags: str, conn: Any = None) -> None:
        self._core.store.forget(self._names.tags(tags))


class ForAll(Cache):
    """Forgets whose view it is."""

    def within(self, **parts: Any) -> Cache:
        return self


class OfUncommitted(Cache):
    """Keeps what a transaction reads of its own."""

    def _is_being_changed(self, tags: tuple[str, ...]) -> bool:
        return False


@pytest.mark.parametrize(
    ("broken", "told"),
    [(TooEarly, "acknowledged before"), (ForAll, "was answered with"), (OfUncommitted, "instead of|rolled back")],
)
def test_a_broken_cache_is_found_out(dsn: str, broken: type[Cache], told: str, monkeypatch) -> None:
    if broken is OfUncommitted:
        monkeypatch.setattr("backend.cache_core.is_private", lambda: False)
    prepare(dsn)
    acknowledged = multiprocessing.get_context("spawn").Array("i", len(TENANTS) * ROWS)
    outcome = Trial(dsn, broken(namespace="broken"), acknowledged, 1).run(4, 2500)
    assert outcome.breaches > 0
    assert any(word in line for line in outcome.told for word in told.split("|")), outcome.told


def test_a_part_that_fails_is_a_breach(dsn: str, redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(dsn)
    monkeypatch.setattr(trial, "READ", "SELECT nothing FROM nowhere WHERE %s = %s")
    acknowledged = multiprocessing.get_context("spawn").Array("i", len(TENANTS) * ROWS)
    outcome: Outcome = Trial(dsn, Cache(), acknowledged, 1).run(1, 50)
    assert outcome.breaches == 1 and "UndefinedTable" in outcome.told[0]
