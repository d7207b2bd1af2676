"""What the cache answers, in memory and in Redis: one loader, tags, transactions, tenants, what it refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg2
import pytest

from backend import Cache, CacheError, ThreadedConnectionPool, cache_stats
from scripts.stack.redis import Redis

PLACES = ("memory", "redis")


@pytest.fixture(params=PLACES)
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    url = request.getfixturevalue("redis_server").url if request.param == "redis" else None
    made = Cache(url, namespace="shop", timeout=5.0)
    yield made
    made.close()


class Loader:
    """Counts its calls; returns what it is told."""

    def __init__(self, value: Any = "loaded") -> None:
        self.calls, self.value = 0, value

    def __call__(self) -> Any:
        self.calls += 1
        return self.value


def test_the_second_ask_needs_no_loader(cache: Cache) -> None:
    load = Loader({"id": 7, "tags": ["a", None, 1.5, True]})
    assert cache.get_or_load("k", load) == load.value == cache.get_or_load("k", load)
    assert load.calls == 1
    assert cache.stats()["hits"] == 1 and cache.stats()["loads"] == 1


def test_what_is_returned_is_the_caller_s_own(cache: Cache) -> None:
    load = Loader({"names": ["Ann"]})
    cache.get_or_load("k", load)["names"].append("Bob")
    cache.get_or_load("k", load)["names"].append("Cid")
    assert cache.get_or_load("k", load) == {"names": ["Ann"]} and load.value == {"names": ["Ann"]}


@pytest.mark.parametrize("value", [b"\x00\xff\n", b"", bytearray(b"x"), memoryview(b"y")])
def test_bytes_come_back_as_bytes(cache: Cache, value: Any) -> None:
    assert cache.get_or_load("k", lambda: value) == bytes(value) == cache.get_or_load("k", Loader())


@pytest.mark.parametrize("value", [0, "", [], {}, False, "ä\n€", [[1], {"a": {"b": None}}], (1, 2)])
def test_a_hit_answers_as_a_miss_did(cache: Cache, value: Any) -> None:
    first = cache.get_or_load("k", lambda: value)
    again = cache.get_or_load("k", Loader())
    assert first == again and type(first) is type(again)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"at": datetime(2026, 1, 1)}, "at .at is a datetime"),
        ([Decimal("1.5")], r"at \[0\] is a Decimal"),
        ({1: "one"}, "the key 1"),
        (float("nan"), "JSON"),
        ({"a": {1, 2}}, "a set"),
        (object(), "is a object"),
    ],
)
def test_what_json_would_change_is_refused(cache: Cache, value: Any, told: str) -> None:
    with pytest.raises(CacheError, match=told):
        cache.get_or_load("k", lambda: value)
    with pytest.raises(CacheError, match=told):
        cache.set("k", value)


def test_none_is_asked_again_unless_it_is_to_be_remembered(cache: Cache) -> None:
    load = Loader(None)
    assert [cache.get_or_load("k", load) for _ in range(2)] == [None, None] and load.calls == 2
    assert [cache.get_or_load("n", load, negative_ttl=60) for _ in range(2)] == [None, None] and load.calls == 3
    assert cache.get("n", "default") is None and cache.get("nowhere", "default") == "default"


def test_set_get_delete_and_clear(cache: Cache) -> None:
    assert cache.set("a", 1) and cache.set("b", 2, tags=["t"]) and cache.within(tenant=1).set("a", 3)
    assert (cache.get("a"), cache.get("b"), cache.within(tenant=1).get("a")) == (1, 2, 3)
    cache.delete("a")
    assert cache.get("a") is None
    other = Cache(None, namespace="shop2") if "memory" in repr(cache) else None
    assert other is None or other.get("b") is None
    assert cache.clear() >= 2 and cache.get("b") is None and cache.within(tenant=1).get("a") is None


def test_time_ends_an_entry(cache: Cache) -> None:
    load = Loader()
    cache.get_or_load("k", load, ttl=0.05)
    time.sleep(0.06)
    cache.get_or_load("k", load, ttl=0.05)
    assert load.calls == 2


def test_lives_differ_a_little_and_never_exceed_the_ttl(redis_server: Redis) -> None:
    import redis as library

    cache = Cache(redis_server.url, namespace="shop", timeout=5.0)
    for number in range(30):
        cache.set(f"k{number}", 1, ttl=1000)
    client = library.Redis.from_url(redis_server.url)
    lives = [client.pttl(name) / 1000 for name in client.scan_iter()]
    assert len(lives) == 30 and min(lives) > 890 and max(lives) <= 1000
    assert len({round(life) for life in lives}) > 5


def test_a_tag_forgets_every_entry_that_carries_it(cache: Cache) -> None:
    load = Loader()
    for key, tags in (("a", ["x"]), ("b", ["x", "y"]), ("c", ["y"])):
        cache.get_or_load(key, load, tags=tags)
    cache.invalidate("x")
    for key, tags in (("a", ["x"]), ("b", ["x", "y"]), ("c", ["y"])):
        cache.get_or_load(key, load, tags=tags)
    assert load.calls == 5
    assert cache.get("b") is not None  # asked without its tags: they are looked up
    cache.invalidate("y")
    assert cache.get("b") is None


def test_a_load_that_began_before_the_change_is_worth_nothing(cache: Cache) -> None:
    def load_slowly() -> str:
        cache.invalidate("row")  # another request's change commits while this one reads
        return "old"

    assert cache.get_or_load("k", load_slowly, tags=["row"]) == "old"
    assert cache.get_or_load("k", Loader("new"), tags=["row"]) == "new"


def test_an_entry_that_was_kept_without_a_tag_is_not_believed_by_who_names_it(cache: Cache) -> None:
    cache.set("k", "of an older version of the code")
    assert cache.get_or_load("k", Loader("new"), tags=["row"]) == "new"


def test_one_loads_and_the_others_wait(cache: Cache) -> None:
    started, go, answers = threading.Event(), threading.Event(), []
    load = Loader({"n": 1})

    def slow() -> Any:
        started.set()
        go.wait(5)
        return load()

    threads = [threading.Thread(target=lambda: answers.append(cache.get_or_load("k", slow))) for _ in range(20)]
    for thread in threads:
        thread.start()
    started.wait(5)
    time.sleep(0.05)
    go.set()
    for thread in threads:
        thread.join()
    assert load.calls == 1 and answers == [{"n": 1}] * 20


def test_what_cannot_be_kept_is_loaded_twice_by_any_number_of_callers(cache: Cache) -> None:
    started, go, answers = threading.Event(), threading.Event(), []
    load = Loader(None)  # a None that is not to be remembered

    def slow() -> Any:
        started.set()
        go.wait(5)
        time.sleep(0.05)
        return load()

    threads = [threading.Thread(target=lambda: answers.append(cache.get_or_load("k", slow))) for _ in range(20)]
    for thread in threads:
        thread.start()
    started.wait(5)
    time.sleep(0.1)
    go.set()
    for thread in threads:
        thread.join()
    assert load.calls == 2 and answers == [None] * 20


def test_who_comes_after_a_change_never_gets_what_was_read_before_it() -> None:
    """Without tag or entry: the load under way began before he came, so what it brings is not his."""
    cache = Cache(largest=10)
    started, go, answers = threading.Event(), threading.Event(), {}
    value = ["old"]

    def slow() -> str:
        read = value[0]
        started.set()
        go.wait(5)
        return read * 10

    first = threading.Thread(target=lambda: answers.update(first=cache.get_or_load("k", slow)))
    first.start()
    started.wait(5)
    value[0] = "new"  # committed and acknowledged; then somebody asks
    second = threading.Thread(target=lambda: answers.update(second=cache.get_or_load("k", slow)))
    second.start()
    time.sleep(0.05)
    go.set()
    first.join()
    second.join()
    assert answers == {"first": "old" * 10, "second": "new" * 10}


def test_a_loader_that_fails_fails_its_caller_and_the_others_try(cache: Cache) -> None:
    started, go = threading.Event(), threading.Event()
    calls, outcomes = [], []

    def load() -> str:
        calls.append(1)
        if len(calls) == 1:
            started.set()
            go.wait(5)
            raise ZeroDivisionError
        return "good"

    def ask() -> None:
        try:
            outcomes.append(cache.get_or_load("k", load))
        except ZeroDivisionError:
            outcomes.append("failed")

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    started.wait(5)
    time.sleep(0.05)
    go.set()
    for thread in threads:
        thread.join(5)
    assert sorted(outcomes) == ["failed"] + ["good"] * 4
    assert cache.get_or_load("k2", lambda: 1) == 1


def test_a_loader_may_ask_the_cache_also_for_its_own_key(cache: Cache) -> None:
    def load() -> Any:
        return [cache.get_or_load("other", lambda: 1), cache.get_or_load("k", lambda: "straight")]

    assert cache.get_or_load("k", load) == [1, "straight"]


def test_who_waits_too_long_loads_for_himself() -> None:
    cache = Cache(patience=0.05)
    go = threading.Event()
    slow = threading.Thread(target=lambda: cache.get_or_load("k", lambda: go.wait(5) and "slow"))
    slow.start()
    while not cache.stats()["loads"]:
        time.sleep(0.001)
    assert cache.get_or_load("k", Loader("mine")) == "mine"
    go.set()
    slow.join()


def test_while_one_refreshes_the_others_get_the_old_value(cache: Cache) -> None:
    cache.get_or_load("k", Loader("old"), ttl=0.05, stale=60)
    time.sleep(0.06)
    started, go, refreshed = threading.Event(), threading.Event(), []

    def slow() -> str:
        started.set()
        go.wait(5)
        return "new"

    one = threading.Thread(target=lambda: refreshed.append(cache.get_or_load("k", slow, ttl=60, stale=60)))
    one.start()
    started.wait(5)
    assert cache.get_or_load("k", Loader("never"), ttl=60, stale=60) == "old"
    go.set()
    one.join()
    assert refreshed == ["new"] and cache.get_or_load("k", Loader("never"), ttl=60, stale=60) == "new"


def test_a_stale_value_is_served_while_the_database_is_away_but_never_after_its_invalidation(cache: Cache) -> None:
    def fail() -> str:
        raise psycopg2.OperationalError("the server is away")

    cache.get_or_load("k", Loader("old"), ttl=0.02, tags=["t"], stale=60)
    time.sleep(0.03)
    assert cache.get_or_load("k", fail, ttl=0.02, tags=["t"], stale=60) == "old"
    cache.invalidate("t")
    with pytest.raises(psycopg2.OperationalError):
        cache.get_or_load("k", fail, ttl=0.02, tags=["t"], stale=60)


def test_tenants_have_their_own_entries_and_tags(cache: Cache) -> None:
    one, two = cache.within(tenant="1"), cache.within(tenant="2")
    assert one.get_or_load("k", Loader("one"), tags=["t"]) == "one"
    assert two.get_or_load("k", Loader("two"), tags=["t"]) == "two"
    assert cache.get_or_load("k", Loader("all")) == "all"
    one.invalidate("t")
    assert two.get_or_load("k", Loader("never"), tags=["t"]) == "two"
    assert one.get_or_load("k", Loader("anew"), tags=["t"]) == "anew"


AWKWARD = (
    "1", "1/user=2", "1}k:x", "{1}", "%31", "1:2", " 1", "1 ", "*", "[1]", "é", "1\n", "None", "\ud800", "a" * 300,
)  # fmt: skip


def test_no_spelling_of_a_tenant_or_key_leads_to_another_one_s_entry(cache: Cache) -> None:
    pairs = [(tenant, key) for tenant in AWKWARD for key in AWKWARD]
    for number, (tenant, key) in enumerate(pairs):
        cache.within(tenant=tenant).set(key, number, tags=[key])
    for number, (tenant, key) in enumerate(pairs):
        assert cache.within(tenant=tenant).get(key) == number
    cache.within(tenant="*").invalidate("*")
    gone = [pair for pair in pairs if cache.within(tenant=pair[0]).get(pair[1]) is None]
    assert gone == [("*", "*")]
    cache.within(tenant="*").clear()
    assert cache.within(tenant="1").get("1") == 0


@pytest.mark.parametrize("parts", [{}, {"tenant": None}, {"tenant": ""}, {"tenant": object()}])
def test_a_view_of_nobody_is_refused(cache: Cache, parts: dict[str, Any]) -> None:
    with pytest.raises(CacheError):
        cache.within(**parts)
    with pytest.raises(CacheError, match="already"):
        cache.within(tenant=1).within(tenant=2)


def test_a_function_is_cached_by_its_arguments(cache: Cache) -> None:
    calls = []

    @cache.cached("order:{shop}:{day}:{open_only}", tags=["shop:{shop}"], ignore=["conn"])
    def orders(conn: Any, shop: str, day: date, open_only: bool = False) -> list[Any]:
        """The docstring stays."""
        calls.append((shop, day, open_only))
        return [shop, str(day), open_only]

    day = date(2026, 1, 1)
    assert orders(None, "a", day) == ["a", "2026-01-01", False]
    assert orders(object(), shop="a", day=day, open_only=False) == ["a", "2026-01-01", False]
    assert orders(None, "a", day, True)[2] is True and orders.__doc__ == "The docstring stays."
    assert len(calls) == 2
    cache.invalidate("shop:a")
    orders(None, "a", day)
    assert len(calls) == 3


def test_arguments_cannot_be_confused(cache: Cache) -> None:
    @cache.cached("{a}:{b}")
    def pair(a: Any, b: Any) -> list[str]:
        return [repr(a), repr(b)]

    spellings = ["1:2", "3", "1", "2:3", None, "None", "%None", True, "True", UUID(int=1), "", "%3A"]
    for a in spellings:
        for b in spellings:
            assert pair(a, b) == [repr(a), repr(b)]
    with pytest.raises(CacheError, match="cannot be part of a cache key"):
        pair(1.5, 1)


def test_a_key_that_leaves_out_an_argument_is_refused(cache: Cache) -> None:
    with pytest.raises(CacheError, match=r"leaves out user of .*profile.*put \{user\} into the key"):

        @cache.cached("profile:{tenant}")
        def profile(tenant: str, user: str) -> None: ...

    wrongs = (("{user.name}", "name of an argument"), ("{user!r}", "argument alone"), ("{", "no template"))
    for key, wrong in wrongs:
        with pytest.raises(CacheError, match=wrong):
            cache.cached(key)
    with pytest.raises(CacheError, match="has no argument id"):
        cache.cached("k:{user}", tags=["{id}"])(lambda user: 1)
    with pytest.raises(CacheError, match="args"):
        cache.cached("k")(lambda *args: 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttl": 0}, {"ttl": -1}, {"ttl": float("inf")}, {"ttl": True}, {"ttl": "60"}, {"ttl": 31 * 86400},
        {"negative_ttl": 0}, {"stale": -1}, {"tags": "text"}, {"tags": [1]}, {"tags": [""]},
        {"tags": [str(n) for n in range(33)]},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_the_loader_runs(cache: Cache, wrong: dict[str, Any]) -> None:
    load = Loader()
    with pytest.raises(CacheError):
        cache.get_or_load("k", load, **wrong)
    for key in ("", None, 7):
        with pytest.raises(CacheError):
            cache.get_or_load(key, load)  # type: ignore[arg-type]
    with pytest.raises(CacheError, match="needs a tag"):
        cache.invalidate()
    assert load.calls == 0


def test_a_value_or_a_key_of_ten_megabytes_is_answered(cache: Cache) -> None:
    large = "x" * 10_000_000
    assert cache.get_or_load("k", lambda: large) == large
    assert cache.stats()["not_kept"] == 1 and cache.get("k") is None
    assert cache.get_or_load(large, Loader("kept")) == "kept" == cache.get_or_load(large, Loader("never"))
    assert cache.get_or_load(large + "y", Loader("another")) == "another"


def test_the_memory_is_bounded_by_entries_and_by_bytes() -> None:
    cache = Cache(most_entries=10, most_bytes=1_000_000)
    for number in range(30):
        cache.set(f"k{number}", number)
        cache.get("k0")
    assert cache.stats()["entries"] == 10 and cache.get("k0") == 0 and cache.get("k15") is None
    cache = Cache(most_bytes=10_000)
    for number in range(30):
        cache.set(f"k{number}", "x" * 1000)
    assert 5 < cache.stats()["entries"] < 10 and cache.stats()["bytes"] <= 10_000
    assert not cache.set("large", "x" * 20_000) and cache.get("k29") == "x" * 1000


def test_hits_and_misses_reach_the_page_and_the_metrics(cache: Cache) -> None:
    before = cache_stats.snapshot().get("shop", {"hits": 0, "misses": 0})
    cache.get_or_load("k", Loader())
    cache.get_or_load("k", Loader())
    after = cache_stats.snapshot()["shop"]
    assert (after["hits"] - before["hits"], after["misses"] - before["misses"]) == (1, 1)


# Transactions


@pytest.fixture
def pool(dsn: str) -> Iterator[ThreadedConnectionPool]:
    with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS cached_rows")
        cursor.execute("CREATE TABLE cached_rows (id int PRIMARY KEY, name text)")
        cursor.execute("INSERT INTO cached_rows VALUES (1, 'old')")
    made = ThreadedConnectionPool(1, 5, dsn)
    yield made
    made.closeall()
    with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("DROP TABLE cached_rows")


Read = Callable[..., Any]


@pytest.fixture
def read(cache: Cache, pool: ThreadedConnectionPool) -> Read:
    def from_database(conn: Any = None) -> Any:
        lease = conn or pool.getconn()
        try:
            with lease.cursor() as cursor:
                cursor.execute("SELECT name FROM cached_rows WHERE id = 1")
                return cursor.fetchone()[0]
        finally:
            if conn is None:
                pool.putconn(lease)

    def name(conn: Any = None) -> Any:
        return cache.get_or_load("row:1", lambda: from_database(conn), tags=["row:1"])

    return name


def _rename(conn: Any, name: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute("UPDATE cached_rows SET name = %s WHERE id = 1", (name,))


def _elsewhere(function: Callable[[], Any]) -> Any:
    """Another thread's answer: another request."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(function()))
    thread.start()
    thread.join()
    return answers[0]


@pytest.mark.parametrize("when", ["before the write", "after the write"])
def test_others_see_the_old_value_until_the_commit_and_the_new_one_after_it(cache, pool, read, when: str) -> None:
    assert read() == "old"
    with pool.connection() as conn:
        if when == "before the write":
            cache.invalidate("row:1", conn=conn)
        _rename(conn, "new")
        if when == "after the write":
            cache.invalidate("row:1", conn=conn)
        assert _elsewhere(read) == "old"
        assert read(conn) == "new"  # his own change, and past the cache
        assert _elsewhere(read) == "old"
    assert _elsewhere(read) == "new" and read() == "new"


def test_a_rollback_invalidates_nothing(cache: Cache, pool: ThreadedConnectionPool, read: Read) -> None:
    assert read() == "old"
    with pytest.raises(ZeroDivisionError), pool.connection() as conn:
        _rename(conn, "never")
        cache.invalidate("row:1", conn=conn)
        assert read(conn) == "never"
        raise ZeroDivisionError
    loads, invalidations = cache.stats()["loads"], cache.stats()["invalidations"]
    assert read() == "old" and _elsewhere(read) == "old"
    assert cache.stats()["loads"] == loads and invalidations == 0


@pytest.mark.parametrize("announced", [True, False])
def test_what_is_not_committed_is_never_kept(cache, pool, read, announced: bool) -> None:
    conn = pool.getconn()
    _rename(conn, "never")
    assert read(conn) == "never"  # the cache is empty: it must load, and must not keep
    if announced:
        cache.invalidate("row:1", conn=conn)
    assert _elsewhere(read) == "old"
    cache.delete("row:1")
    assert read(conn) == "never"
    conn.rollback()
    pool.putconn(conn)
    assert read() == "old" and _elsewhere(read) == "old"


@pytest.mark.parametrize("how", ["session", "server"])
def test_what_an_old_snapshot_shows_is_never_kept(cache, pool, read, how: str) -> None:
    conn = pool.getconn()
    if how == "session":
        conn.set_session(isolation_level="REPEATABLE READ")
    else:
        with conn.cursor() as cursor:
            cursor.execute("SET default_transaction_isolation = 'repeatable read'")
        conn.commit()
    with conn.cursor() as cursor:
        cursor.execute("SELECT 1")  # here the snapshot is taken

    def change() -> None:
        with pool.connection() as other:
            _rename(other, "new")
            cache.invalidate("row:1", conn=other)

    _elsewhere(change)
    assert read(conn) == "old"  # as the transaction must see it
    assert _elsewhere(read) == "new"
    pool.putconn(conn, close=True)


def test_without_a_connection_it_is_invalidated_now_and_again_at_the_commit(cache, pool, read) -> None:
    assert read() == "old"
    with pool.connection() as conn:
        _rename(conn, "new")
        cache.invalidate("row:1")
        assert _elsewhere(read) == "old"  # kept once more, before the commit
    assert _elsewhere(read) == "new"


def test_a_plain_connection_cannot_tell_of_its_commit(cache: Cache, dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as conn, pytest.raises(TypeError, match="leased from the pool"):
        cache.invalidate("t", conn=conn)


def test_a_thread_reads_from_the_cache_again_after_its_connection_was_lost(cache, pool, read, cluster) -> None:
    conn = pool.getconn()
    _rename(conn, "never")
    cache.invalidate("row:1", conn=conn)
    pid = conn.info.backend_pid
    del conn  # dropped without a word
    cluster.execute("SELECT pg_terminate_backend(%s)", (pid,))
    assert read() == "old"
    loads = cache.stats()["loads"]
    assert read() == "old" and cache.stats()["loads"] == loads
