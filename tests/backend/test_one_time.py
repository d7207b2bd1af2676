"""A one-time secret works once: under races, over rollbacks and restarts, in both stores."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from backend import (
    OneTimeRefused,
    OneTimeSecrets,
    OneTimeUnavailable,
    PostgresSecrets,
    RedisSecrets,
    ThreadedConnectionPool,
)
from backend.one_time import SecretStore
from scripts.bench.cache.races import race_consumers
from scripts.stack.ports import free_port
from scripts.stack.postgres import Cluster
from tests.support.threads import together

KINDS = ("postgres", "redis")


@pytest.fixture
def pool(dsn: str) -> Iterator[ThreadedConnectionPool]:
    made = ThreadedConnectionPool(1, 5, dsn)
    store = PostgresSecrets(made)
    store.create_table()
    with made.connection() as conn, conn.cursor() as cursor:
        cursor.execute("TRUNCATE one_time_secrets")
    yield made
    if not made.closed:
        made.closeall()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Iterator[SecretStore]:
    if request.param == "postgres":
        yield PostgresSecrets(request.getfixturevalue("pool"))
    else:
        made = RedisSecrets(request.getfixturevalue("redis_server").url, timeout=5.0)
        yield made
        made.close()


@pytest.fixture
def secrets(store: SecretStore) -> OneTimeSecrets:
    return OneTimeSecrets(store)


def _refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(OneTimeRefused) as refused:
        call()
    assert "no longer valid" in str(refused.value) and refused.value.reason not in str(refused.value)
    return refused.value.reason


def test_it_works_once_and_brings_its_data(secrets: OneTimeSecrets) -> None:
    data = {"verifier": "x" * 64, "next": "/ä?b=€", "n": [1, None, True]}
    secret = secrets.issue("oauth", data)
    assert len(secret) == 43
    assert secrets.consume("oauth", secret) == data
    assert _refusal(lambda: secrets.consume("oauth", secret)) == "used"


def test_each_one_is_another(secrets: OneTimeSecrets) -> None:
    assert len({secrets.issue("p") for _ in range(50)}) == 50


NEVER = ["", None, 7, "x", "x" * 43, "x" * 10_000_000, "'; DROP", "\x00", "\ud800", b"x"]


@pytest.mark.parametrize("wrong", NEVER)
def test_what_was_never_issued_is_unknown(secrets: OneTimeSecrets, wrong: Any) -> None:
    assert _refusal(lambda: secrets.consume("oauth", wrong)) == "unknown"


def test_it_is_good_for_its_purpose_alone(secrets: OneTimeSecrets) -> None:
    secret = secrets.issue("google")
    assert _refusal(lambda: secrets.consume("github", secret)) == "unknown"
    assert secrets.consume("google", secret) is None


def test_a_stolen_one_is_refused_elsewhere_and_left_to_its_owner(secrets: OneTimeSecrets, caplog) -> None:
    secret = secrets.issue("oauth", bound_to="the victim's browser")
    for thief in ("", "another browser"):
        reason = _refusal(lambda thief=thief: secrets.consume("oauth", secret, bound_to=thief))
        assert reason == "of another browser"
    assert secrets.consume("oauth", secret, bound_to="the victim's browser") is None
    assert "it is of another browser" in caplog.text and secret not in caplog.text


def test_it_ends_by_the_store_s_clock(secrets: OneTimeSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.issue("oauth", ttl=0.05)
    kept = secrets.issue("oauth", ttl=60)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # a worker whose clock is decades behind
    time.sleep(0.06)
    assert _refusal(lambda: secrets.consume("oauth", secret)) in ("expired", "unknown")
    assert secrets.consume("oauth", kept) is None


def test_the_store_has_neither_the_secret_nor_the_browser_s(pool, redis_server) -> None:
    import redis

    for kept in (PostgresSecrets(pool), RedisSecrets(redis_server.url)):
        secret = OneTimeSecrets(kept).issue("oauth", bound_to="browser-cookie")
        if isinstance(kept, PostgresSecrets):
            with pool.connection() as conn, conn.cursor() as cursor:
                cursor.execute("SELECT one_time_secrets::text FROM one_time_secrets")
                text = str(cursor.fetchall())
        else:
            client = redis.Redis.from_url(redis_server.url)
            text = str([(name, client.hgetall(name)) for name in client.scan_iter()])
            assert 0 < client.pttl(next(iter(client.scan_iter()))) <= 600_000
            kept.close()
        assert "oauth" in text and secret not in text and "browser-cookie" not in text


def test_the_app_s_rollback_does_not_bring_a_used_one_back(pool: ThreadedConnectionPool) -> None:
    secrets = OneTimeSecrets(PostgresSecrets(pool))
    with pytest.raises(ZeroDivisionError), pool.connection() as conn:
        with conn.cursor() as cursor:
            cursor.execute("SELECT 1")
        secret = secrets.issue("oauth")
        secrets.consume("oauth", secret)
        raise ZeroDivisionError
    assert _refusal(lambda: secrets.consume("oauth", secret)) == "used"


@pytest.mark.parametrize("kind", KINDS)
def test_of_two_hundred_racing_consumers_exactly_one_wins_each_time(kind, pool, dsn, redis_server) -> None:
    where = dsn if kind == "postgres" else redis_server.url
    assert race_consumers(kind, where, rounds=20, processes=4, threads=50) == [1] * 20


def test_clean_up_deletes_what_is_over_in_bounded_batches(pool: ThreadedConnectionPool) -> None:
    secrets = OneTimeSecrets(PostgresSecrets(pool))
    with pool.connection() as conn, conn.cursor() as cursor:
        cursor.execute(
            "INSERT INTO one_time_secrets SELECT md5(n::text), 'old', '', NULL, now() - interval '1 s', NULL "
            "FROM generate_series(1, 100000) AS n"
        )
    kept = secrets.issue("oauth")
    batches = []
    while gone := secrets.clean_up(20_000):
        batches.append(gone)
    assert batches == [20_000] * 5
    assert secrets.consume("oauth", kept) is None


def test_clean_up_waits_for_nobody(pool: ThreadedConnectionPool) -> None:
    secrets = OneTimeSecrets(PostgresSecrets(pool))
    for _ in range(2):
        secrets.issue("oauth", ttl=0.001)
    with pool.connection() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT digest FROM one_time_secrets LIMIT 1 FOR UPDATE")
        assert secrets.clean_up() == 1
    assert secrets.clean_up() == 1


def test_a_store_that_is_away_accepts_nothing(pool, redis_server, dsn: str, cluster: Cluster) -> None:
    away = RedisSecrets(f"redis://:secret@127.0.0.1:{free_port()}/0", timeout=0.5)
    for call in (lambda: OneTimeSecrets(away).issue("p"), lambda: OneTimeSecrets(away).consume("p", "x")):
        with pytest.raises(OneTimeUnavailable) as told:
            call()
        assert "secret@" not in str(told.value)
    secrets = OneTimeSecrets(RedisSecrets(redis_server.url, timeout=0.2))
    secret = secrets.issue("p")
    redis_server.freeze()
    with pytest.raises(OneTimeUnavailable):
        secrets.consume("p", secret)
    redis_server.thaw()
    broken = PostgresSecrets(ThreadedConnectionPool(0, 1, f"{dsn} port={free_port()}"))
    with pytest.raises(OneTimeUnavailable, match="PostgreSQL does not answer"):
        OneTimeSecrets(broken).issue("p")
    with pytest.raises(OneTimeUnavailable, match=r"create_table\(\) makes it"):
        OneTimeSecrets(PostgresSecrets(pool, table="not_made")).issue("p")


def test_a_redis_user_with_six_commands_is_enough(redis_server) -> None:
    """As docs/one-time.md lists them; managed Redis often has a rule that takes INFO away."""
    rights = "reset on >pw ~one-time:* -@all +eval +info +hset +hmget +hdel +pexpire"
    redis_server.command("ACL", "SETUSER", "limited", *rights.split())
    secrets = OneTimeSecrets(RedisSecrets(f"redis://limited:pw@127.0.0.1:{redis_server.port}/0"))
    secret = secrets.issue("p")
    redis_server.command("ACL", "SETUSER", "limited", "-info")
    try:
        with pytest.raises(OneTimeUnavailable, match="does not do what it is asked"):
            secrets.consume("p", secret)
        redis_server.command("ACL", "SETUSER", "limited", "+info")
        assert secrets.consume("p", secret) is None
    finally:
        redis_server.command("ACL", "DELUSER", "limited")


def test_a_full_or_read_only_redis_accepts_nothing(redis_server) -> None:
    secrets = OneTimeSecrets(RedisSecrets(redis_server.url))
    secret = secrets.issue("p")
    redis_server.command("REPLICAOF", "127.0.0.1", str(free_port()))
    try:
        with pytest.raises(OneTimeUnavailable):
            secrets.consume("p", secret)
    finally:
        redis_server.command("REPLICAOF", "NO", "ONE")
    assert secrets.consume("p", secret) is None


def test_a_restart_from_a_snapshot_brings_no_used_one_back(redis_server) -> None:
    secrets = OneTimeSecrets(RedisSecrets(redis_server.url))
    secret = secrets.issue("p")
    redis_server.command("SAVE")
    assert secrets.consume("p", secret) is None
    redis_server.kill()
    redis_server.start()
    assert _refusal(lambda: secrets.consume("p", secret)) == "unknown"
    redis_server.empty()
    redis_server.command("SAVE")


def test_a_table_of_any_name_in_any_schema_is_quoted(pool: ThreadedConnectionPool, dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
        cursor.execute('DROP SCHEMA IF EXISTS "odd schema" CASCADE; CREATE SCHEMA "odd schema"')
    store = PostgresSecrets(pool, table='x"; DROP TABLE y; --', schema="odd schema")
    store.create_table()
    store.create_table()
    secrets = OneTimeSecrets(store)
    assert secrets.consume("p", secrets.issue("p", 1)) == 1
    with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
        cursor.execute('DROP SCHEMA "odd schema" CASCADE')


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_stricter_isolation_level_lets_one_win_as_well(pool, dsn: str, level: str) -> None:
    options = "-c default_transaction_isolation=" + level.lower().replace(" ", "\\ ")
    strict = ThreadedConnectionPool(1, 10, dsn, options=options)
    secret, outcomes = OneTimeSecrets(PostgresSecrets(pool)).issue("p"), []
    racing = OneTimeSecrets(PostgresSecrets(strict))

    def consume() -> None:
        try:
            racing.consume("p", secret)
            outcomes.append("won")
        except OneTimeRefused as refused:
            outcomes.append(refused.reason)

    threads = [threading.Thread(target=consume) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["used"] * 9 + ["won"]
    strict.closeall()


def test_no_good_one_is_refused_for_another_s_sake(pool: ThreadedConnectionPool, dsn: str) -> None:
    """SERIALIZABLE and a table so small that it is scanned: each consumer conflicts with all the others."""
    options = "-c default_transaction_isolation=serializable"
    strict = ThreadedConnectionPool(1, 10, dsn, options=options)
    racing, won = OneTimeSecrets(PostgresSecrets(strict)), []
    issued = [racing.issue("p", number) for number in range(30)]
    with pool.connection() as conn, conn.cursor() as cursor:
        cursor.execute("ANALYZE one_time_secrets")
    try:
        for of_round in (issued[:10], issued[10:20], issued[20:]):
            won += together(10, lambda number, ten=of_round: racing.consume("p", ten[number]))
    finally:
        strict.closeall()
    assert won == list(range(30))


def test_a_read_only_server_accepts_nothing_in_one_line(pool: ThreadedConnectionPool, dsn: str) -> None:
    standby = ThreadedConnectionPool(0, 1, dsn, options="-c default_transaction_read_only=on")
    secret = OneTimeSecrets(PostgresSecrets(pool)).issue("p")
    refusing = OneTimeSecrets(PostgresSecrets(standby))
    for call in (lambda: refusing.issue("p"), lambda: refusing.consume("p", secret)):
        with pytest.raises(OneTimeUnavailable, match=r"does not write: .*; name the primary") as told:
            call()
        assert "\n" not in str(told.value)
    standby.closeall()
    assert OneTimeSecrets(PostgresSecrets(pool)).consume("p", secret) is None


@pytest.mark.parametrize(
    "wrong", [{"ttl": 0}, {"ttl": 31 * 86400}, {"ttl": "1"}, {"data": "x" * 9000}, {"data": object()}]
)
def test_what_cannot_be_is_refused(secrets: OneTimeSecrets, wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        secrets.issue("p", **wrong)
    for purpose in ("", None, "x" * 101):
        with pytest.raises(ValueError, match="purpose"):
            secrets.issue(purpose)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="none of Redis"):
        RedisSecrets("http://x")
