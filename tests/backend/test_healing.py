"""Servers that restart, kill and vanish: the pool recovers by itself, and says why while it cannot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest

from backend import PoolOptions, PoolTimeout, ThreadedConnectionPool
from backend.liveness import FRESH
from scripts.stack import Stack
from scripts.stack.bouncer import Bouncer
from scripts.stack.postgres import Cluster
from tests.support.proxy import Proxy
from tests.support.sql import backend, query, run
from tests.support.threads import Running, together, until

from .conftest import MakePool

Terminate = Callable[..., None]


@pytest.fixture(scope="module")
def own_bouncer(own_stack: Stack, own: Cluster) -> Bouncer:
    """PgBouncer in front of it."""
    running = own_stack.pgbouncer(own, ["app"], ["app"])
    if running is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    return running


@pytest.fixture
def own_pool(own: Cluster) -> Iterator[Callable[..., ThreadedConnectionPool]]:
    made: list[ThreadedConnectionPool] = []

    def make(minconn: int, maxconn: int, dsn: str | None = None, **options: Any) -> ThreadedConnectionPool:
        pool = ThreadedConnectionPool(
            minconn, maxconn, dsn or own.dsn("app", "app"), pool_options=PoolOptions(**options)
        )
        made.append(pool)
        return pool

    yield make
    for pool in made:
        Running(pool.closeall).join()


def test_after_every_backend_was_terminated_none_of_the_next_hundred_leases_fails(
    make_pool: MakePool, terminate: Terminate
) -> None:
    """psycopg/psycopg2#62: dead connections go back; psycopg_pool with check= sleeps 30 s and then fails."""
    pool = make_pool(8, 8)
    held = [pool.getconn() for _ in range(8)]
    pids = [backend(conn) for conn in held]
    for conn in held:
        pool.putconn(conn)
    terminate(*pids)
    start = time.monotonic()
    for _ in range(100):
        with pool.connection() as conn:
            assert backend(conn) not in pids
    assert time.monotonic() - start < 8
    assert pool.stats()["size"] <= 8


def test_connections_dead_since_their_return_are_found_by_eight_threads_at_once(
    make_pool: MakePool, terminate: Terminate
) -> None:
    pool = make_pool(8, 8)
    held = [pool.getconn() for _ in range(8)]
    pids = [backend(conn) for conn in held]
    for conn in held:
        pool.putconn(conn)
    terminate(*pids)

    def work(number: int) -> int:
        with pool.connection() as conn:
            return backend(conn)

    assert not set(together(8, work)) & set(pids)


def test_one_dead_connection_has_the_others_asked_before_they_are_trusted(
    make_pool: MakePool, cluster: Cluster, database: str
) -> None:
    """A firewall that forgets its connections answers nobody: the socket stays quiet on all but the first."""
    with Proxy(cluster.port) as proxy:
        pool = make_pool(2, 2, connect={"dsn": cluster.dsn(database, "app"), "port": proxy.port})
        one, two = pool.getconn(), pool.getconn()
        pids = {backend(one), backend(two)}
        pool.putconn(one)
        pool.putconn(two)
        proxy.cut()
        time.sleep(10 * FRESH)  # a socket is not looked at so soon after its last use
        assert {backend(pool.getconn()), backend(pool.getconn())}.isdisjoint(pids)


def test_a_connection_that_dies_in_use_is_not_kept(make_pool: MakePool, terminate: Terminate) -> None:
    pool = make_pool(1, 1)
    conn = pool.getconn()
    terminate(conn)
    with pytest.raises(psycopg2.OperationalError):
        run(conn, "SELECT 1")
    pool.putconn(conn)
    assert pool.stats()["size"] == 0


def test_a_transaction_is_never_continued_on_another_connection(
    make_pool: MakePool, terminate: Terminate
) -> None:
    """DBUtils repeats the statement on a new connection: the first half is lost, the second committed."""
    pool = make_pool(1, 1)
    conn = pool.getconn()
    run(conn, "SELECT 1")
    terminate(conn)
    for _ in range(2):
        with pytest.raises((psycopg2.OperationalError, psycopg2.InterfaceError)):
            run(conn, "SELECT 2")
    pool.putconn(conn)


def test_after_a_restart_the_next_lease_works(own: Cluster, own_pool: Callable[..., Any]) -> None:
    pool = own_pool(2, 2)
    held = [pool.getconn(), pool.getconn()]
    for conn in held:
        pool.putconn(conn)
    own.restart()
    for _ in range(2):
        with pool.connection(timeout=1.0) as conn:
            assert query(conn, "SELECT 1") == 1


def test_while_the_server_is_down_callers_get_the_cause_at_once_and_recover_at_once(
    own: Cluster, own_pool: Callable[..., Any]
) -> None:
    """psycopg_pool: callers wait 3 s for "couldn't get a connection", and 23 s after the server is back."""
    pool = own_pool(2, 2, timeout=30.0)
    pool.putconn(pool.getconn())
    own.stop()
    try:
        start = time.monotonic()

        def work(number: int) -> BaseException | None:
            return Running(pool.getconn).error()

        for error in together(6, work):
            assert isinstance(error, psycopg2.OperationalError)
            assert not isinstance(error, PoolTimeout)
            assert "Connection refused" in str(error)
        assert time.monotonic() - start < 8
        assert pool.stats()["size"] == 0
    finally:
        own.start()
    with pool.connection(timeout=0) as conn:
        assert query(conn, "SELECT 1") == 1


class Load:
    """Eight threads that lease and query without end; what fails is kept with its time."""

    def __init__(self, pool: ThreadedConnectionPool) -> None:
        self.pool = pool
        self.failures: list[tuple[float, BaseException]] = []
        self.longest = 0.0
        self.served = 0
        self.is_over = threading.Event()
        self.threads = [Running(self._work) for _ in range(8)]

    def _work(self) -> None:
        while not self.is_over.is_set():
            start = time.monotonic()
            try:
                with self.pool.connection() as conn:
                    query(conn, "SELECT 1")
                self.served += 1
            except psycopg2.Error as error:
                self.failures.append((start, error))
                self.is_over.wait(0.01)  # a refused connect costs nothing; let the server start as well
            self.longest = max(self.longest, time.monotonic() - start)

    def end(self) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def serves(self, count: int) -> None:
        goal = self.served + count
        until(lambda: self.served >= goal, f"{count} more leases are served")


def check_restart_under_load(pool: ThreadedConnectionPool, restart: Callable[[], None]) -> None:
    load = Load(pool)
    try:
        load.serves(50)
        restart()
        back = time.monotonic()
        load.serves(100)
    finally:
        load.end()
    late = [(moment - back, error) for moment, error in load.failures if moment > back]
    assert not late, late
    assert load.longest < pool.options.timeout
    stats = pool.stats()
    assert (stats["used"], stats["waiting"]) == (0, 0)
    assert stats["size"] == stats["idle"] <= 4


def test_restart_under_load_fails_nobody_once_it_is_back(own: Cluster, own_pool: Callable[..., Any]) -> None:
    check_restart_under_load(own_pool(1, 4, timeout=10.0), own.restart)


def test_restart_of_pgbouncer_under_load_fails_nobody_once_it_is_back(
    own: Cluster, own_bouncer: Bouncer, own_pool: Callable[..., Any]
) -> None:
    pool = own_pool(1, 4, own_bouncer.url("app", "app"), timeout=10.0, reset="pgbouncer")
    check_restart_under_load(pool, own_bouncer.restart)


def test_after_pgbouncer_was_restarted_the_next_lease_works(
    own_bouncer: Bouncer, own_pool: Callable[..., Any]
) -> None:
    pool = own_pool(2, 2, own_bouncer.url("app", "app"), reset="pgbouncer")
    held = [pool.getconn(), pool.getconn()]
    for conn in held:
        run(conn, "SELECT 1")
        pool.putconn(conn)
    own_bouncer.restart()
    for _ in range(4):
        with pool.connection(timeout=1.0) as conn:
            assert query(conn, "SELECT 1") == 1


def test_a_restart_behind_pgbouncer_costs_at_most_the_queries_in_flight(
    own: Cluster, own_bouncer: Bouncer, own_pool: Callable[..., Any]
) -> None:
    """PgBouncer keeps its clients' sockets: the pool sees nothing, and nothing is wrong with its connections."""
    pool = own_pool(2, 2, own_bouncer.url("app", "app"), timeout=10.0, reset="pgbouncer")
    with pool.connection() as conn:
        run(conn, "SELECT 1")
    own.restart()
    failed = 0
    for _ in range(20):
        try:
            with pool.connection() as conn:
                query(conn, "SELECT 1")
        except psycopg2.OperationalError:
            failed += 1
    assert failed <= 1
    assert pool.stats()["size"] == pool.stats()["idle"]


def test_pool_stats_work_while_a_connect_hangs(own: Cluster, own_pool: Callable[..., Any]) -> None:
    """A host that swallows packets: whoever connects waits for it, and nobody else."""
    with Proxy(own.port) as proxy:
        proxy.stall()
        where = f"host=127.0.0.1 port={proxy.port} dbname=app user=app password=x"
        pool = own_pool(1, 1, where, timeout=0.05, connect_timeout=30)
        slow = Running(pool.getconn)
        until(lambda: pool.stats()["size"] == 1, "the connect has begun")
        with pytest.raises(PoolTimeout):
            pool.getconn()
        proxy.resume()
        assert isinstance(slow.error(), psycopg2.OperationalError)
        assert pool.stats()["size"] == 0
