"""A database with thirty-six kinds of trouble: each is found where it was planted, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg2
import pytest

from scripts.database import open_database
from scripts.doctor.rules import RULES
from scripts.doctor.run import examined
from scripts.doctor.session import Session
from scripts.doctor.target import Options, Target
from scripts.stack import Stack
from scripts.stack.bouncer import Bouncer
from scripts.stack.postgres import Cluster
from tests.support.threads import Running, until

SETTINGS = {"autovacuum": "off", "max_connections": "600", "max_prepared_transactions": "5",
            "wal_level": "logical", "max_wal_size": "4GB", "synchronous_commit": "on",
            "full_page_writes": "on"}  # fmt: skip
SCHEMA = """
    CREATE TABLE owners (id bigint PRIMARY KEY);
    CREATE TABLE owned (id bigint PRIMARY KEY, owner_id bigint REFERENCES owners);                       -- H501
    CREATE TABLE narrow (id bigint PRIMARY KEY, owner_id int REFERENCES owners);                         -- H525
    CREATE INDEX narrow_owner ON narrow (owner_id);
    CREATE TABLE twice (id bigint PRIMARY KEY, a int, b int);
    CREATE INDEX twice_one ON twice (a, b); CREATE INDEX twice_two ON twice (a, b);                      -- H507
    CREATE TABLE prefixed (id bigint PRIMARY KEY, a int, b int);
    CREATE INDEX prefixed_short ON prefixed (a); CREATE INDEX prefixed_long ON prefixed (a, b);          -- H508
    CREATE TABLE keyless (line text);                                                                    -- H521
    CREATE TABLE numbered (id serial PRIMARY KEY); SELECT setval('numbered_id_seq', 2000000000);         -- H522
    CREATE SEQUENCE ending MAXVALUE 100; SELECT setval('ending', 99);                                    -- H523
    CREATE TABLE loaded (id bigserial PRIMARY KEY); INSERT INTO loaded VALUES (7);                       -- H524
    CREATE TABLE doubtful (id bigint PRIMARY KEY, n int);
    ALTER TABLE doubtful ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;                                -- H526
    CREATE TABLE frozen (id bigint PRIMARY KEY) WITH (autovacuum_enabled = off);                         -- H602
    CREATE TABLE broken (id bigint PRIMARY KEY, n int); INSERT INTO broken VALUES (1, 1), (2, 1);
    CREATE TABLE unread (id bigint PRIMARY KEY, t text); CREATE INDEX unread_t ON unread (t);            -- H509
    INSERT INTO unread SELECT g, md5(g::text) FROM generate_series(1, 20000) g;
    CREATE TABLE swollen (id bigint PRIMARY KEY) WITH (autovacuum_enabled = true);                       -- H511
    INSERT INTO swollen SELECT generate_series(1, 600000); DELETE FROM swollen WHERE id % 20 > 0;
    CREATE TABLE dying (id bigint PRIMARY KEY); INSERT INTO dying SELECT generate_series(1, 30000);      -- H601
    CREATE TABLE unknown (id bigint PRIMARY KEY); INSERT INTO unknown SELECT generate_series(1, 9000);   -- H604
    CREATE TABLE labels (id bigint PRIMARY KEY, code int);
    INSERT INTO labels SELECT g, g FROM generate_series(1, 50) g;
    CREATE TABLE items (id bigint PRIMARY KEY, email text, code int, day timestamptz, tags text[], info jsonb,
                        name text);
    INSERT INTO items SELECT g, 'm' || g, g % 500, now() - g * interval '1 hour', ARRAY['t' || g % 90],
                             jsonb_build_object('k', g), 'n' || g FROM generate_series(1, 5000) g;
"""
ASKED = (
    "SELECT id FROM items WHERE email = 'm7'",  # H502
    "SELECT l.id FROM labels l JOIN items i ON i.code = l.code WHERE l.id = 7",  # H503
    "SELECT id FROM items ORDER BY day DESC LIMIT 10",  # H504
    "SELECT id FROM items WHERE info @> '{\"k\": 7}'",  # H505
    "SELECT id FROM items WHERE name LIKE '%n77%'",  # H506
)
EXPECTED = {
    ("H501", "public.owned"), ("H502", "public.items"), ("H503", "public.items"), ("H504", "public.items"),
    ("H505", "public.items"), ("H506", "public.items"), ("H507", "public.twice_two"),
    ("H508", "public.prefixed_short"), ("H509", "public.unread_t"), ("H510", "public.broken_n"),
    ("H511", "public.swollen_pkey"), ("H521", "public.keyless"), ("H522", "public.numbered"),
    ("H523", "public.ending"), ("H524", "public.loaded_id_seq"), ("H525", "public.narrow"),
    ("H526", "public.doubtful"), ("H531", "statements"), ("H601", "public.dying"), ("H602", "server"),
    ("H602", "public.frozen"), ("H604", "public.unknown"), ("H608", "server"), ("H621", "sessions"),
    ("H622", "sessions"), ("H623", "sessions"), ("H701", "server"), ("H702", "server"), ("H703", "server"),
    ("H707", "server"), ("H709", "server"), ("H711", "server"), ("H712", "server"),
    ("H801", "pgbouncer"), ("H802", "pgbouncer"), ("H803", "pgbouncer"), ("H822", "replication"),
}  # fmt: skip
LONG = 0.2  # seconds


@pytest.fixture(scope="module")
def planted() -> Iterator[tuple[Cluster, Bouncer | None]]:
    """The server, with everything that stays; sessions are the test's."""
    with Stack() as stack:
        cluster = stack.postgres(SETTINGS)
        cluster.create_role("boss", superuser=True)
        cluster.create_database("planted", "boss")
        cluster.execute(SCHEMA, dbname="planted")
        _finish(cluster)
        yield cluster, stack.pgbouncer(
            cluster, ["planted"], ["boss"], pool_mode="session", pool_size=1, stats_users=["boss"]
        )


def _finish(cluster: Cluster) -> None:
    with pytest.raises(psycopg2.errors.UniqueViolation):
        cluster.execute("CREATE UNIQUE INDEX CONCURRENTLY broken_n ON broken (n)", dbname="planted")
    for statement in ("VACUUM ANALYZE swollen", "ANALYZE labels", "ANALYZE items", "ANALYZE unread",
                      "ANALYZE dying",
                      "DELETE FROM dying WHERE id > 10000", "ANALYZE dying", "SELECT count(*) FROM unread",
                      "SELECT pg_create_logical_replication_slot('unread', 'pgoutput')"):  # fmt: skip
        cluster.execute(statement, dbname="planted")
    with closing(cluster.connect("planted")) as conn, conn.cursor() as cursor:
        for statement in ASKED:
            for _ in range(200):
                cursor.execute(statement)
        for _ in range(5):
            cursor.execute("SELECT count(*), pg_sleep(0.11) FROM labels WHERE id < 3")  # H531
        cursor.execute("BEGIN; INSERT INTO keyless VALUES ('x'); PREPARE TRANSACTION 'forgotten'")  # H608


@pytest.fixture
def sessions(planted: tuple[Cluster, Bouncer | None]) -> Iterator[None]:
    """One holds a lock and does nothing, one waits for it, one is at work, and two wait in PgBouncer."""
    cluster, bouncer = planted
    with ExitStack() as stops:

        def opened(dsn: str) -> Any:
            conn = psycopg2.connect(dsn)
            stops.callback(conn.close)
            return conn

        idle, waiting, busy = (opened(cluster.dsn("planted", "boss")) for _ in range(3))
        idle.cursor().execute("LOCK TABLE twice IN SHARE MODE")
        running = [Running(lambda: _ends(waiting, "INSERT INTO twice VALUES (1)")),
                   Running(lambda: _ends(busy, "SELECT pg_sleep(60)"))]  # fmt: skip
        if bouncer is not None:
            url = cluster.url("planted", "boss", bouncer.port)
            opened(url).cursor().execute("SELECT 1")
            running += [Running(lambda: _asks(url)) for _ in range(12)]  # more than the reserve takes
        waiters = ("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query_start"
                   f" < clock_timestamp() - interval '{2 * LONG} s'")  # fmt: skip
        until(lambda: cluster.execute(waiters), "a session waits for a lock", 20)
        until(lambda: bouncer is None or _waiting(cluster, bouncer) >= 2, "clients wait in PgBouncer", 20)
        yield
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'planted'"
                        " AND pid <> pg_backend_pid()")  # fmt: skip
        if bouncer is not None:
            bouncer.stop()
        for each in running:
            each.join()


def _ends(conn: Any, statement: str) -> None:
    try:
        conn.cursor().execute(statement)
    except psycopg2.Error:
        conn.close()  # as this test ends it


def _asks(url: str) -> None:
    try:
        conn = psycopg2.connect(url)
        conn.cursor().execute("SELECT pg_sleep(60)")
    except psycopg2.Error:
        return  # as this test ends it


def _waiting(cluster: Cluster, bouncer: Bouncer) -> int:
    with closing(psycopg2.connect(cluster.url("pgbouncer", "boss", bouncer.port))) as conn:
        conn.autocommit = True
        cursor = conn.cursor()
        cursor.execute("SHOW POOLS")
        names = [each[0] for each in cursor.description]
        return sum(dict(zip(names, row, strict=True))["cl_waiting"] for row in cursor.fetchall())


def test_each_kind_is_found_and_nothing_else(planted: tuple[Cluster, Bouncer | None], sessions: None) -> None:
    cluster, bouncer = planted
    console = cluster.url("pgbouncer", "boss", bouncer.port) if bouncer else None
    options = Options(prove="off", unused_after=0.0, long=LONG, pgbouncer=console)
    with closing(Session(open_database(cluster.dsn("planted", "boss"), "harden doctor"), 30.0)) as session:
        result = examined(Target(session, options), RULES)
    assert result.broken == ()
    # H705 depends on this machine's disk; tests/scripts/doctor/test_disks.py has it.
    found = [(each.rule, each.place.path) for each in result.findings if each.rule != "H705"]
    expected = {each for each in EXPECTED if bouncer or each[1] != "pgbouncer"}
    if ("H803", "pgbouncer") not in found:
        expected.discard(("H803", "pgbouncer"))  # this machine's PgBouncer may be new enough
    messages = "\n".join(f"{each.rule} {each.place.path}: {each.message}" for each in result.findings)
    assert set(found) == expected, messages
    assert len(found) == len(set(found)), messages
