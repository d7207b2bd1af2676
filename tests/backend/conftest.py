"""What the tests of the runtime share: pools that are closed at the end, and a look at the server's side."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from backend import PoolOptions, ThreadedConnectionPool
from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from tests.support.connects import Connects
from tests.support.threads import Running

MakePool = Callable[..., Any]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def make_pool(dsn: str) -> Iterator[MakePool]:
    """A function that makes pools: `make_pool(minconn, maxconn, kind=..., **options)`."""
    made: list[ThreadedConnectionPool] = []

    def make(
        minconn: int = 1,
        maxconn: int = 2,
        kind: type[ThreadedConnectionPool] = ThreadedConnectionPool,
        connect: dict[str, Any] | None = None,
        **options: Any,
    ) -> ThreadedConnectionPool:
        arguments = {"dsn": dsn, **(connect or {})}
        pool = kind(minconn, maxconn, pool_options=PoolOptions(**options), **arguments)
        made.append(pool)
        return pool

    yield make
    for pool in made:
        if not pool.closed:
            Running(pool.closeall).join()  # after a failure pytest itself calls off the alarm for hangs


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> Connects:
    """Counts connects, and can delay or fail them."""
    fake = Connects()
    monkeypatch.setattr(psycopg2, "_connect", fake)
    return fake


@pytest.fixture
def backends(backends: Callable[[], int]) -> Callable[[], int]:
    """As everywhere, and what earlier tests left to the collector is gone before this one counts."""
    gc.collect()
    count = backends()
    while count != (count := backends()):
        time.sleep(0.02)
    return backends


@pytest.fixture(scope="session")
def own_stack() -> Iterator[Stack]:
    """Servers that these tests may stop without disturbing anybody."""
    with Stack() as running:
        yield running


@pytest.fixture(scope="session")
def own(own_stack: Stack) -> Cluster:
    """A cluster of their own, with the role and the database `app`."""
    running = own_stack.postgres({"max_prepared_transactions": "4"})
    running.create_role("app", "pass word")
    running.create_database("app", "app")
    return running


@pytest.fixture
def explained(dsn: str) -> Iterator[None]:
    """The table `explained` of 50,000 rows, and functions that write though they should not."""
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        conn.autocommit = True
        cursor.execute("""
            CREATE TABLE explained (number int, note text, ref int);
            INSERT INTO explained SELECT n, 'note ' || n, n FROM generate_series(1, 50000) n;
            CREATE INDEX ON explained (ref);
            ANALYZE explained;
            CREATE TABLE written (number int);
            CREATE FUNCTION volatile_write(n int) RETURNS int LANGUAGE sql
                AS 'INSERT INTO written VALUES (n) RETURNING number';
            CREATE FUNCTION stable_write() RETURNS int LANGUAGE plpgsql STABLE
                AS 'BEGIN PERFORM volatile_write(1); RETURN 1; END';
            CREATE VIEW innocent AS SELECT * FROM explained WHERE number > stable_write()""")
        yield
        cursor.execute("""
            DROP VIEW innocent; DROP TABLE explained, written; DROP FUNCTION volatile_write, stable_write""")


@pytest.fixture
def terminate(cluster: Cluster) -> Callable[..., None]:
    """A function that ends the backends of connections, or of process ids, and waits until they are gone."""

    def end(*victims: Any) -> None:
        pids = [victim if isinstance(victim, int) else victim.info.backend_pid for victim in victims]
        with closing(cluster.connect()) as conn, conn.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s) pid", (pids,))
            assert all(row[0] for row in cursor.fetchall())

    return end
