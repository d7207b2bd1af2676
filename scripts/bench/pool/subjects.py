"""The pools that are compared, each behind the same four calls.

Each is set up as its users do, with as many connections kept as it may open, so that none is measured while it
closes what it is given back. `take` is the pool's own call wherever possible: an adapter would be timed too.
"""

from __future__ import annotations

import operator
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

POLL_EVERY = 0.001


@dataclass(frozen=True)
class Handle:
    """An open pool.

    Attributes:
        take: gives a connection to a caller who knows that there is one.
        give: takes it back.
        close: ends the pool.
        wait: gives a connection, waiting for one; `take`, where that waits.
        own_block: the pool's own context manager, where it has one.
    """

    take: Callable[[], Any]
    give: Callable[[Any], object]
    close: Callable[[], object]
    wait: Callable[[], Any]
    own_block: Callable[[], Any] | None = None

    def block(self) -> Callable[[], Any]:
        """Return what makes a `with` block: the pool's own, or the one that applications write around it."""
        if self.own_block is not None:
            return self.own_block
        take, give = self.take, self.give

        @contextmanager
        def lease() -> Iterator[Any]:
            conn = take()
            try:
                yield conn
            finally:
                give(conn)

        return lease


Open = Callable[[str, int, float], Handle]


@dataclass(frozen=True)
class Subject:
    """One line of the tables.

    Attributes:
        key: as --peers names it.
        label: as the tables do.
        open: given a DSN, a size and the seconds a caller waits at most.
        packages: what it needs beyond psycopg2, as pip names it.
        is_pool: whether it keeps connections.
    """

    key: str
    label: str
    open: Open
    packages: tuple[str, ...] = ()
    is_pool: bool = True


def _ours(reset: str) -> Open:
    def open_pool(dsn: str, size: int, timeout: float) -> Handle:
        backend = import_module("backend")
        options = backend.PoolOptions(reset=reset, timeout=timeout)
        pool = backend.ThreadedConnectionPool(size, size, dsn, pool_options=options)
        return Handle(pool.getconn, pool.putconn, pool.closeall, pool.getconn, pool.connection)

    return open_pool


def _connect(dsn: str, size: int, timeout: float) -> Handle:
    psycopg2 = import_module("psycopg2")

    def take() -> Any:
        return psycopg2.connect(dsn)

    return Handle(take, operator.methodcaller("close"), lambda: None, take)


def _psycopg2(dsn: str, size: int, timeout: float) -> Handle:
    module = import_module("psycopg2.pool")
    pool = module.ThreadedConnectionPool(size, size, dsn)
    return Handle(pool.getconn, pool.putconn, pool.closeall, _polled(pool.getconn, module.PoolError, timeout))


def _polled(take: Callable[[], Any], refusal: type[Exception], timeout: float) -> Callable[[], Any]:
    """Return what applications write around a pool that refuses where it should wait."""

    def wait() -> Any:
        end = time.monotonic() + timeout
        while True:
            try:
                return take()
            except refusal:
                if time.monotonic() > end:
                    raise
                time.sleep(POLL_EVERY)

    return wait


def _semaphore(dsn: str, size: int, timeout: float) -> Handle:
    module = import_module("psycopg2.pool")
    pool = module.ThreadedConnectionPool(size, size, dsn)
    free = threading.BoundedSemaphore(size)

    def take() -> Any:
        if not free.acquire(timeout=timeout):
            raise module.PoolError("timeout")
        try:
            return pool.getconn()
        except BaseException:
            free.release()
            raise

    def give(conn: Any) -> None:
        try:
            pool.putconn(conn)
        finally:
            free.release()

    return Handle(take, give, pool.closeall, take)


def _sqlalchemy(pre_ping: bool) -> Open:
    def open_pool(dsn: str, size: int, timeout: float) -> Handle:
        psycopg2 = import_module("psycopg2")
        engine = import_module("sqlalchemy").create_engine(
            "postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn), pool_size=size, max_overflow=0,
            pool_timeout=timeout, pool_pre_ping=pre_ping,
        )  # fmt: skip
        take = engine.raw_connection
        return Handle(take, operator.methodcaller("close"), engine.dispose, take)

    return open_pool


def _dbutils(dsn: str, size: int, timeout: float) -> Handle:
    pool = import_module("dbutils.pooled_db").PooledDB(
        import_module("psycopg2"), mincached=size, maxcached=size, maxconnections=size, blocking=True, dsn=dsn
    )
    return Handle(pool.connection, operator.methodcaller("close"), pool.close, pool.connection)


def _psycopg2_pool(dsn: str, size: int, timeout: float) -> Handle:
    module = import_module("psycopg2_pool")
    pool = module.ThreadSafeConnectionPool(minconn=size, maxconn=size, dsn=dsn)
    return Handle(pool.getconn, pool.putconn, pool.clear, _polled(pool.getconn, module.PoolError, timeout))


def _psycopg_pool(check: bool) -> Open:
    def open_pool(dsn: str, size: int, timeout: float) -> Handle:
        kind = import_module("psycopg_pool").ConnectionPool
        pool = kind(
            dsn, min_size=size, max_size=size, open=True, timeout=timeout,
            check=kind.check_connection if check else None,
        )  # fmt: skip
        return Handle(pool.getconn, pool.putconn, pool.close, pool.getconn, pool.connection)

    return open_pool


PSYCOPG = ("psycopg[binary]", "psycopg_pool")
SUBJECTS = (
    Subject("ours", "ours", _ours("rollback")),
    Subject("ours-reset", "ours, reset", _ours("reset")),
    Subject("connect", "connect per request", _connect, is_pool=False),
    Subject("psycopg2", "psycopg2, polled", _psycopg2),
    Subject("semaphore", "psycopg2 + semaphore", _semaphore),
    Subject("sqlalchemy", "SQLAlchemy", _sqlalchemy(False), ("sqlalchemy",)),
    Subject("sqlalchemy-ping", "SQLAlchemy pre_ping", _sqlalchemy(True), ("sqlalchemy",)),
    Subject("dbutils", "DBUtils PooledDB", _dbutils, ("dbutils",)),
    Subject("psycopg2-pool", "psycopg2-pool", _psycopg2_pool, ("psycopg2-pool",)),
    Subject("psycopg-pool", "psycopg_pool", _psycopg_pool(False), PSYCOPG),
    Subject("psycopg-pool-check", "psycopg_pool check=", _psycopg_pool(True), PSYCOPG),
)
BY_KEY = {subject.key: subject for subject in SUBJECTS}
OURS = ("ours", "ours-reset")
