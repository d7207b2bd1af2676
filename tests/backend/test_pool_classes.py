"""psycopg2's own pool classes while the drop-in is installed: same calls, same errors, none of their faults."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.pool
import pytest
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from psycopg2.pool import SimpleConnectionPool as imported_simple
from psycopg2.pool import ThreadedConnectionPool as imported_before

from backend import PoolTimeout, install, uninstall
from backend.connection import Leased
from backend.health import pool_figures
from backend.pool_classes import METHODS, covered
from tests.support.sql import backend, query, run
from tests.support.threads import DEADLINE, Running, together, until

BEFORE = {(kind, name): getattr(kind, name) for kind in (imported_before, imported_simple) for name in METHODS}


@pytest.fixture(autouse=True)
def drop_in() -> Iterator[None]:
    install()
    yield
    uninstall()


@contextmanager
def opened(kind: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
    pool = kind(*args, **kwargs)
    try:
        yield pool
    finally:
        if not pool.closed:
            pool.closeall()


KINDS = pytest.mark.parametrize("kind", [imported_before, imported_simple])


@KINDS
def test_a_class_imported_before_is_covered(kind: Any, dsn: str) -> None:
    with opened(kind, 1, 2, dsn) as pool:
        conn = pool.getconn()
        assert isinstance(pool, kind)
        assert isinstance(conn, Leased)
        pool.putconn(conn)
        assert len(covered()) == 1


@KINDS
def test_the_constructor_opens_minconn_connections(
    kind: Any, dsn: str, backends: Callable[[], int]
) -> None:
    before = backends()
    with opened(kind, 2, 4, dsn) as pool:
        assert backends() == before + 2
        assert (len(pool._pool), len(pool._used), pool.minconn, pool.maxconn) == (2, 0, 2, 4)


def test_the_constructor_raises_what_connect_raises() -> None:
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        imported_before(1, 2, "host=127.0.0.1 port=1 dbname=x user=x")


def test_connections_above_minconn_are_kept(dsn: str) -> None:
    with opened(imported_before, 1, 3, dsn) as pool:
        held = [pool.getconn() for _ in range(3)]
        pids = {backend(conn) for conn in held}
        for conn in held:
            pool.putconn(conn)
        assert {backend(pool.getconn()) for _ in range(3)} <= pids


def test_an_exhausted_pool_makes_its_caller_wait(dsn: str) -> None:
    with opened(imported_before, 1, 1, dsn) as pool:
        conn = pool.getconn()
        waiter = Running(pool.getconn)
        until(lambda: covered()[0].stats()["waiting"] == 1, "one waits")
        pool.putconn(conn)
        assert waiter.result() is conn


def test_who_holds_every_connection_is_refused_at_once(dsn: str) -> None:
    """psycopg2 raises; a single-threaded caller that waited for itself would wait in vain."""
    with opened(imported_before, 1, 2, dsn) as pool:
        held = [pool.getconn() for _ in range(2)]
        with pytest.raises(psycopg2.pool.PoolError, match="this very thread holds them all") as caught:
            pool.getconn()
        assert isinstance(caught.value, PoolTimeout)
        assert len(caught.value.holders) == len(held)


def test_keys_work_as_in_psycopg2(dsn: str) -> None:
    with opened(imported_before, 1, 2, dsn) as pool:
        conn = pool.getconn(key="a")
        assert pool.getconn("a") is conn
        assert list(pool._used) == ["a"]
        pool.putconn(conn, key="a")
        assert len(pool._used) == 0


def test_a_failed_transaction_is_rolled_back_on_return(dsn: str) -> None:
    with opened(imported_before, 1, 1, dsn) as pool:
        conn = pool.getconn()
        with pytest.raises(psycopg2.Error):
            run(conn, "SELECT 1/0")
        pool.putconn(conn)
        again = pool.getconn()
        assert again.info.transaction_status == TRANSACTION_STATUS_IDLE
        assert query(again, "SELECT 1") == 1


def test_session_settings_stay_as_in_psycopg2s_pool(dsn: str) -> None:
    """Apps set up their connections once, after the constructor; psycopg2's pool rolls back and no more."""
    with opened(imported_before, 1, 1, dsn) as pool:
        conn = pool.getconn()
        run(conn, "SET search_path = pg_catalog")
        conn.commit()
        pool.putconn(conn)
        assert query(pool.getconn(), "SHOW search_path") == "pg_catalog"


@KINDS
def test_closeall_closes_and_everything_after_it_is_refused(kind: Any, dsn: str) -> None:
    pool = kind(1, 2, dsn)
    conn = pool.getconn()
    pool.closeall()
    assert pool.closed
    assert conn.closed
    for call in (pool.getconn, lambda: pool.putconn(conn), pool.closeall):
        with pytest.raises(psycopg2.pool.PoolError, match="connection pool is closed"):
            call()


def test_many_threads_on_a_simple_pool_never_share_a_connection(dsn: str) -> None:
    """psycopg2's own SimpleConnectionPool is not for threads; apps use it in threads all the same."""
    inside: set[int] = set()
    lock = threading.Lock()

    def work(_: int) -> None:
        for _ in range(25):
            conn = pool.getconn()
            with lock:
                assert id(conn) not in inside
                inside.add(id(conn))
            assert query(conn, "SELECT 1") == 1
            with lock:
                inside.discard(id(conn))
            pool.putconn(conn)

    with opened(imported_simple, 1, 4, dsn) as pool:
        together(16, work, timeout=3 * DEADLINE)
        assert len(pool._used) == 0


def test_a_subclass_that_calls_super_is_covered(dsn: str) -> None:
    class Counting(imported_before):
        taken = 0

        def getconn(self, key: Any = None) -> Any:
            self.taken += 1
            return super().getconn(key)

    with opened(Counting, 1, 2, dsn) as pool:
        pool.putconn(pool.getconn())
        assert pool.taken == 1
        assert covered()[0].stats()["leased"] == 1


def test_a_subclass_that_connects_in_its_own_way_is_left_alone(dsn: str) -> None:
    class Own(imported_before):
        def _connect(self, key: Any = None) -> Any:
            return super()._connect(key)

    with opened(Own, 1, 2, dsn) as pool:
        assert type(pool.getconn()) is psycopg2.extensions.connection
        assert not covered()


def test_sizes_that_ours_refuses_are_psycopg2s_affair(dsn: str) -> None:
    with opened(imported_before, 3, 2, dsn) as pool:
        assert type(pool.getconn()) is psycopg2.extensions.connection


def test_a_pool_made_before_goes_on_as_it_was(dsn: str) -> None:
    uninstall()
    with opened(imported_before, 1, 2, dsn) as pool:
        install()
        conn = pool.getconn()
        assert type(conn) is psycopg2.extensions.connection
        pool.putconn(conn)


def test_uninstall_restores_the_methods_and_hands_over_what_is_in_use(dsn: str) -> None:
    with opened(imported_before, 1, 2, dsn) as pool:
        conn, keyed = pool.getconn(), pool.getconn("k")
        pid = backend(conn)
        uninstall()
        assert all(getattr(kind, name) is method for (kind, name), method in BEFORE.items())
        assert backend(conn) == pid
        assert pool.getconn("k") is keyed
        pool.putconn(conn)
        pool.putconn(keyed, "k")
        assert backend(pool.getconn()) == pid
    install()


def test_its_figures_stand_beside_the_others(dsn: str) -> None:
    with opened(imported_before, 1, 2, dsn):
        assert [pool["name"] for pool in pool_figures()["pools"]].count("psycopg2.pool") == 1


def test_a_dropped_pool_is_forgotten(dsn: str) -> None:
    import gc

    pool = imported_before(1, 2, dsn)
    assert covered()
    del pool
    gc.collect()
    assert not covered()
