"""A Redis that is gone, slow, full, read-only, restarted or full of garbage makes answers slower, never wrong."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis as library

from backend import Cache, CacheError
from backend.cache_entry import MARK
from scripts.bench.cache.races import race_misses
from scripts.stack import Stack
from scripts.stack.ports import free_port
from scripts.stack.redis import Redis

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cache(redis_server: Redis) -> Iterator[Cache]:
    made = Cache(redis_server.url, namespace="shop", timeout=5.0)
    yield made
    made.close()


@pytest.fixture
def other(redis_server: Redis) -> Iterator[Cache]:
    """The cache of another worker."""
    made = Cache(redis_server.url, namespace="shop", timeout=5.0)
    yield made
    made.close()


def _until(is_so: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_workers_share_entries_and_invalidations(cache: Cache, other: Cache) -> None:
    assert cache.get_or_load("k", lambda: "one", tags=["t"]) == "one"
    assert other.get_or_load("k", lambda: "two", tags=["t"]) == "one"
    other.invalidate("t")
    assert cache.get_or_load("k", lambda: "three", tags=["t"]) == "three"


def test_a_load_that_began_before_another_worker_s_change_is_worth_nothing(cache: Cache, other: Cache) -> None:
    def load() -> str:
        other.invalidate("t")
        return "old"

    assert cache.get_or_load("k", load, tags=["t"]) == "old"
    assert cache.get_or_load("k", lambda: "new", tags=["t"]) == "new"


@pytest.mark.parametrize("at", ["never there", "wrong password", "no host"])
def test_without_redis_every_answer_is_loaded(redis_server: Redis, at: str) -> None:
    url = {
        "never there": f"redis://127.0.0.1:{free_port()}/0",
        "wrong password": f"redis://:wrong@127.0.0.1:{redis_server.port}/0",
        "no host": "redis://cache.invalid:6379/0",
    }[at]
    with closing(Cache(url, timeout=0.5)) as cache:
        for number in range(5):
            assert cache.get_or_load("k", lambda number=number: number, tags=["t"]) == number
            cache.invalidate("t")
        assert not cache.set("a", 1) and cache.get("a") is None and cache.clear() == 0
        assert cache.stats()["open"] == 1 and cache.stats()["owed"] == 1
        assert "wrong" not in repr(cache)


def test_it_is_left_alone_while_it_is_away_and_used_again_when_it_is_back(redis_server, cache, caplog) -> None:
    assert cache.get_or_load("k", lambda: "before") == "before"
    redis_server.kill()
    for _ in range(5):
        assert cache.get_or_load("k", lambda: "away") == "away"
    assert cache.stats()["open"] == 1
    errors = cache.stats()["errors"]
    for _ in range(50):
        cache.get_or_load("k", lambda: "away")
    assert cache.stats()["errors"] == errors  # nobody asked
    redis_server.start()
    _until(lambda: cache.stats()["open"] == 0)
    cache.get_or_load("k", lambda: "back")
    assert cache.get_or_load("k", lambda: "never") == "back"
    assert caplog.text.count("the cache is not used until") == caplog.text.count("the cache is used again") == 1


def test_one_that_does_not_answer_costs_a_few_time_limits_and_no_more(redis_server: Redis) -> None:
    with closing(Cache(redis_server.url, timeout=0.05)) as cache:
        cache.get_or_load("k", lambda: 1)
        redis_server.freeze()
        started = time.monotonic()
        for _ in range(200):
            assert cache.get_or_load("k", lambda: 2) == 2
        assert time.monotonic() - started < 3  # 200 x 0.05 s would be 10
        redis_server.thaw()


def test_an_invalidation_that_redis_did_not_take_is_sent_before_it_reads_again(redis_server, cache, other) -> None:
    """Frozen, it forgets nothing: the old entry is there when it is back."""
    with closing(Cache(redis_server.url, namespace="shop", timeout=0.1)) as writer:
        assert writer.get_or_load("k", lambda: "old", tags=["t"]) == "old"
        redis_server.freeze()
        writer.invalidate("t")
        assert writer.stats()["owed"] == 1
        assert writer.get_or_load("k", lambda: "new", tags=["t"]) == "new"
        redis_server.thaw()
        assert writer.get_or_load("k", lambda: "new", tags=["t"]) == "new"
        _until(lambda: writer.stats()["owed"] == 0)
        assert other.get_or_load("k", lambda: "new", tags=["t"]) == "new"
        _until(lambda: writer.stats()["open"] == 0)


def test_a_full_redis_keeps_nothing_more_and_still_forgets(redis_server: Redis, cache: Cache) -> None:
    cache.get_or_load("k", lambda: "old", tags=["t"])
    redis_server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis_server.command("CONFIG", "SET", "maxmemory", "1")
    try:
        assert cache.get_or_load("k", lambda: "never", tags=["t"]) == "old"
        assert [cache.get_or_load("x", lambda n=n: n) for n in range(5)] == [0, 1, 2, 3, 4]
        cache.invalidate("t")
        assert cache.get_or_load("k", lambda: "new", tags=["t"]) == "new"
        assert cache.stats()["open"] == 0
    finally:
        redis_server.command("CONFIG", "SET", "maxmemory", "0")


def test_evicted_tags_make_misses_and_never_hits(redis_server: Redis, cache: Cache) -> None:
    client = library.Redis.from_url(redis_server.url)
    assert cache.get_or_load("k", lambda: "old", tags=["t"]) == "old"
    kept = {name: client.dump(name) for name in client.scan_iter() if b"}k:" in name}
    client.flushall()
    for name, value in kept.items():
        client.restore(name, 60_000, value)
    assert cache.get_or_load("k", lambda: "new", tags=["t"]) == "new"


def test_a_replica_that_takes_no_writes_is_not_read_after_a_change(redis_server: Redis, cache: Cache) -> None:
    cache.get_or_load("k", lambda: "old", tags=["t"])
    redis_server.command("REPLICAOF", "127.0.0.1", str(free_port()))
    try:
        assert cache.get_or_load("k", lambda: "never", tags=["t"]) == "old"
        cache.invalidate("t")
        assert cache.get_or_load("k", lambda: "new", tags=["t"]) == "new"
        assert cache.stats()["owed"] == 1
    finally:
        redis_server.command("REPLICAOF", "NO", "ONE")
    _until(lambda: cache.stats()["owed"] == 0)


def test_nothing_of_a_snapshot_is_believed_after_a_restart(redis_server, cache, other) -> None:
    assert cache.get_or_load("k", lambda: "old", tags=["t"]) == "old"
    redis_server.command("SAVE")
    cache.invalidate("t")  # the snapshot still has the token, and the entry
    redis_server.kill()
    redis_server.start()
    client = library.Redis.from_url(redis_server.url)
    assert [name for name in client.scan_iter() if b"}t:t" in name], "the snapshot was not loaded"
    for each in (cache, other):
        assert each.get_or_load("k", lambda: "new", tags=["t"]) == "new"
    _until(lambda: cache.stats()["open"] == 0)
    client.flushall()
    redis_server.command("SAVE")


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"garbage", b"\x80\x04\x95.", MARK, MARK + b"{}\n", MARK + b'{"k":"j"}\n{broken',
        MARK + b'{"k":"z"}\n1',
        MARK + b'{"k":"j","t":[1]}\n1', MARK + b'{"k":"j","s":"x"}\n1', b"HFC9" + b'{"k":"j"}\n1', MARK + b"[]\n1",
        MARK + b'{"k":"j","t":{"x":"y"}}\n1', MARK + b'{"k":"j","r":"another"}\n1',
    ],
)  # fmt: skip
def test_garbage_is_no_answer(redis_server: Redis, cache: Cache, garbage: bytes) -> None:
    client = library.Redis.from_url(redis_server.url)
    client.set("{cache:shop}k:k", garbage)
    assert cache.get("k", "none") == "none"
    assert cache.get_or_load("k", lambda: "loaded", stale=60) == "loaded"
    assert cache.get_or_load("k", lambda: "never", stale=60) == "loaded"


def test_a_name_that_holds_a_list_is_no_answer(redis_server: Redis, cache: Cache) -> None:
    client = library.Redis.from_url(redis_server.url)
    for name in ("{cache:shop}k:k", "{cache:shop}t:t"):
        client.lpush(name, "x")
    assert cache.get_or_load("k", lambda: "loaded", tags=["t"]) == "loaded"
    assert cache.stats()["open"] == 0


def test_a_thousand_misses_on_four_workers_load_once(redis_server: Redis) -> None:
    assert race_misses(redis_server.url, workers=4, threads=250) == (1, 1000)


def test_a_worker_that_dies_while_it_loads_holds_up_the_others_no_longer_than_their_patience(redis_server) -> None:
    client = library.Redis.from_url(redis_server.url)
    client.set("{cache:shop}l:k", "of a worker that was killed", px=300)
    with closing(Cache(redis_server.url, namespace="shop", timeout=5.0)) as cache:
        assert cache.get_or_load("k", lambda: "loaded") == "loaded"
        assert cache.get_or_load("k", lambda: "never") == "loaded"


def test_clear_scans_and_leaves_what_is_others(redis_server: Redis, cache: Cache) -> None:
    client = library.Redis.from_url(redis_server.url)
    with closing(Cache(redis_server.url, namespace="shop2", timeout=5.0)) as neighbour:
        neighbour.set("k", "stays")
        client.set("session:1", "stays")
        for number in range(1200):
            cache.set(f"k{number}", number)
        client.config_resetstat()
        assert cache.clear() == 1200
        called = set(client.info("commandstats"))
        assert "cmdstat_keys" not in called and "cmdstat_scan" in called and "cmdstat_flushdb" not in called
        assert neighbour.get("k") == "stays" and client.get("session:1") == b"stays"


def test_a_cluster_works_through_its_own_client(stack: Stack) -> None:
    server = stack.redis(name="redis-cluster", settings={"cluster-enabled": "yes"})
    if server is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    _until(lambda: server.cluster_is_up())
    client = library.cluster.RedisCluster.from_url(server.url, socket_timeout=5)
    with closing(Cache(client=client, namespace="shop")) as cache:
        view = cache.within(tenant=7)
        assert view.get_or_load("k", lambda: "old", tags=["a", "b"]) == "old"
        assert view.get_or_load("k", lambda: "never", tags=["a", "b"]) == "old"
        view.invalidate("a", "b")
        assert view.get_or_load("k", lambda: "new", tags=["a", "b"]) == "new"
        cache.set("x", 1)
        assert cache.clear() >= 2 and view.get("k") is None
        assert cache.stats()["errors"] == 0
    server.stop()


def test_a_url_that_is_none_and_a_package_that_is_missing_are_said(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"none of Redis; write redis://") as refused:
        Cache("http://:secret@cache/")
    assert "secret" not in str(refused.value)
    script = (
        "import sys; sys.modules['redis'] = None\n"
        "from backend import Cache, CacheError\nCache().set('a', 1)\n"
        "try: Cache('redis://x')\nexcept CacheError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert "pip install redis" in done.stdout, done.stderr


def test_a_forked_child_uses_it_anew(redis_server: Redis, cache: Cache) -> None:
    cache.get_or_load("k", lambda: "parent")
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def child() -> None:
        answers.put([cache.get_or_load("k", lambda: "child"), cache.get_or_load("c", lambda: "child")])

    process = context.Process(target=child)
    process.start()
    assert answers.get() == ["parent", "child"]
    process.join(10)
    assert cache.get_or_load("c", lambda: "parent") == "child"


def test_sentinel_s_failover_is_slower_for_a_moment_and_never_wrong(stack: Stack) -> None:
    """A primary, its replica and a Sentinel, all real; the primary is killed."""
    primary = stack.redis(name="redis-primary")
    if primary is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    password = primary.password
    follow = {"replicaof": f"127.0.0.1 {primary.port}", "masterauth": password}
    replica = stack.redis(name="redis-replica", settings=follow, password=password)
    watch = {
        "sentinel monitor shop": f"127.0.0.1 {primary.port} 1", "sentinel auth-pass shop": password,
        "sentinel down-after-milliseconds shop": "300", "sentinel failover-timeout shop": "2000",
    }  # fmt: skip
    sentinel = stack.redis(name="redis-sentinel", settings=watch, options=("--sentinel",))
    assert replica is not None and sentinel is not None
    _until(lambda: "state=online" in primary.command("INFO", "replication"))
    asked = library.sentinel.Sentinel(
        [("127.0.0.1", sentinel.port)], sentinel_kwargs={"password": sentinel.password, "socket_timeout": 1}
    )
    _until(lambda: bool(asked.discover_slaves("shop")))
    client = asked.master_for("shop", socket_timeout=1, password=password)
    with closing(Cache(client=client, namespace="shop")) as cache:
        assert cache.get_or_load("k", lambda: "old", tags=["t"]) == "old"
        assert cache.get_or_load("k", lambda: "never", tags=["t"]) == "old"
        primary.kill()
        for number in range(20):
            cache.get_or_load(f"away{number}", lambda: "loaded")
        cache.invalidate("t")  # nobody takes it now
        assert cache.get_or_load("k", lambda: "new", tags=["t"]) == "new"
        _until(lambda: cache.stats()["open"] == 0, 30)
        assert client.connection_pool.get_master_address()[1] == replica.port
        assert cache.get_or_load("k", lambda: "new", tags=["t"]) == "new"  # the replica still had the old one
        assert cache.get_or_load("k", lambda: "never", tags=["t"]) == "new"
    for server in (sentinel, replica):
        server.stop()
