"""A worker that dies while it loads holds the others up for a moment; one that lives and is slow, loads alone."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backend import Cache
from backend.cache_lease import IDLE_LOOKS, LEASE, RENEW_EVERY, Leases
from scripts.stack.redis import Redis
from tests.support.threads import Running, until

ROOT = Path(__file__).resolve().parents[2]
LEADER = """
import sys, time
from backend import Cache
def load():
    print("loading", flush=True)
    time.sleep(60)
Cache(sys.stdin.readline().strip(), namespace="shop").get_or_load("k", load)
"""


@pytest.fixture
def other(redis_server: Redis) -> Iterator[Cache]:
    """The cache of another worker."""
    with closing(Cache(redis_server.url, namespace="shop", timeout=5.0)) as made:
        yield made


def test_a_worker_that_was_killed_while_it_loaded_is_not_waited_for(redis_server: Redis, other: Cache) -> None:
    leader = subprocess.Popen(
        [sys.executable, "-c", LEADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert leader.stdin is not None and leader.stdout is not None
    with leader:
        leader.stdin.write(f"{redis_server.url}\n")
        leader.stdin.flush()
        assert leader.stdout.readline() == "loading\n"
        waiting = Running(other.get_or_load, "k", lambda: "mine")
        time.sleep(2 * LEASE)
        assert waiting.is_alive()  # the leader lives, so its lease is renewed
        leader.kill()
        killed = time.monotonic()
        assert waiting.result() == "mine"
    assert time.monotonic() - killed < LEASE + 2.0


def test_a_loader_that_takes_longer_than_a_lease_is_not_doubled(redis_server: Redis, other: Cache) -> None:
    def slowly() -> str:
        loading.set()
        time.sleep(2 * LEASE)
        return "slow"

    loading = threading.Event()
    with closing(Cache(redis_server.url, namespace="shop", timeout=5.0)) as cache:
        first = Running(cache.get_or_load, "k", slowly)
        assert loading.wait(5)
        assert other.get_or_load("k", lambda: "doubled") == "slow"
        assert first.result() == "slow"
        assert cache.stats()["loads"] + other.stats()["loads"] == 1


def test_renewing_ends_with_the_lock_and_begins_again() -> None:
    renewed: list[str] = []
    leases = Leases(lambda name, token: renewed.append(f"{name} {token}"))
    leases.hold("lock", "one")
    until(lambda: len(renewed) >= 2, "it was renewed")
    leases.drop("lock", "another's")
    count = len(renewed)
    until(lambda: len(renewed) > count, "only the holder drops it")
    leases.drop("lock", "one")
    time.sleep(2 * RENEW_EVERY)
    count = len(renewed)
    time.sleep(2 * RENEW_EVERY)
    assert len(renewed) == count
    leases.hold("lock", "two")
    until(lambda: renewed[-1] == "lock two", "the next one is renewed, too")
    leases.close()


def test_the_thread_ends_when_there_is_nothing_to_renew() -> None:
    leases = Leases(lambda name, token: None)
    leases.hold("lock", "one")
    leases.drop("lock", "one")
    until(lambda: not leases._has_thread, "it ended", timeout=(IDLE_LOOKS + 6) * RENEW_EVERY)
