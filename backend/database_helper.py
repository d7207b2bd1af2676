"""`get_db_connection()`, the helper that every such app already has, and `transaction()`.

One pool per process for DATABASE_URL, made at first use or by the Flask extension. Within a request all
callers share one lease: a request that is three helpers deep cannot wait for itself. Outside a request each
caller gets a lease of its own.
Must not import Flask. If this is wrong, one request's helpers work in different transactions, or in another
request's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection

from . import scope
from .after_commit import until_savepoint
from .connection import Shared
from .database_pool import ThreadedConnectionPool
from .dropin import install, uninstall
from .pool_options import PoolOptions
from .settings import Settings, load

__all__ = ["close_pool", "get_db_connection", "get_pool", "install", "transaction", "uninstall"]


class SharedPool(ThreadedConnectionPool):
    """The pool behind `get_db_connection()`."""

    lease_kind = Shared
    waits_for_itself = False

    def getconn(self, key: Any = None, timeout: float | None = None) -> Any:
        """Lease a connection, as `ThreadedConnectionPool.getconn`."""
        is_new = key is None or key not in self._slots.keys
        conn = super().getconn(key, timeout)
        if is_new:
            _begin(conn, conn._record.baseline.autocommit)
        return conn

    def getconn_for_reads(self, timeout: float | None = None) -> Any:
        """Lease a connection in autocommit.

        It stays in autocommit when it goes back, until somebody wants it otherwise: each change lets go of the
        interpreter's lock, and in a server of threads getting that back costs more than all else in a lease.
        """
        conn = super().getconn(None, timeout)
        _begin(conn, True)
        return conn


def _begin(conn: Any, autocommit: bool) -> None:
    conn.begin_lease()
    if conn.autocommit != autocommit:
        _driver.autocommit.__set__(conn, autocommit)  # as it is handed out: no change that the lease made


_driver: Any = connection
_pool: SharedPool | None = None
_lock = threading.Lock()


def options_from(settings: Settings, reset: str = "rollback", session_state: str = "refuse") -> PoolOptions:
    """Return the pool options that the settings ask for.

    Args:
        settings: the effective settings.
        reset: the reset mode where the server is reached directly or by session pooling.
        session_state: what to do with a change of the session where sessions are shared, when no setting says.
    """
    transaction_pooling = settings["DB_PGBOUNCER"] == "transaction"
    return PoolOptions(
        timeout=settings["DB_POOL_TIMEOUT"],
        max_waiting=settings["DB_POOL_MAX_WAITING"],
        max_lifetime=settings["DB_POOL_MAX_LIFETIME"],
        max_idle=settings["DB_POOL_MAX_IDLE"],
        pre_ping_after=settings["DB_POOL_PRE_PING_AFTER"],
        leak_after=settings["DB_POOL_LEAK_AFTER"],
        held_idle_after=settings["DB_POOL_HELD_IDLE_AFTER"],
        peer_timeout=settings["DB_POOL_PEER_TIMEOUT"],
        kept_plans=settings["DB_POOL_KEPT_PLANS"],
        session_state=settings["DB_POOL_SESSION_STATE"] or session_state,
        reset="pgbouncer" if transaction_pooling else reset,
        statement_timeout_ms=0 if settings["DB_PGBOUNCER"] != "off" else settings["DB_STATEMENT_TIMEOUT_MS"],
    )


def open_pool(settings: Settings) -> SharedPool:
    """Make the process's pool from the settings, replacing an earlier one.

    Raises:
        SettingsError: DATABASE_URL is not set.
    """
    global _pool
    fresh = _made(settings)
    with _lock:
        old, _pool = _pool, fresh
    if old is not None and not old.closed:
        old.closeall()
    return fresh


def _made(settings: Settings) -> SharedPool:
    return SharedPool(
        settings["DB_POOL_MIN"],
        settings.pool_max,
        settings.require_database_url(),
        pool_options=options_from(settings),
    )


def get_pool() -> SharedPool:
    """Return the process's pool, made from the environment's settings at first use.

    Raises:
        SettingsError: DATABASE_URL is not set, or a setting is wrong.
    """
    global _pool
    pool = _pool
    if pool is None or pool.closed:
        with _lock:  # the first requests come at once; one of them makes the pool
            if _pool is None or _pool.closed:
                _pool = _made(load())
            pool = _pool
    return pool


def current_pool() -> SharedPool | None:
    """Return the process's pool if it was made already."""
    return _pool


def close_pool() -> None:
    """Close the process's pool; the next caller makes a new one."""
    global _pool
    with _lock:
        old, _pool = _pool, None
    if old is not None and not old.closed:
        old.closeall()


def get_db_connection(autocommit: bool = False, timeout: float | None = None) -> Any:
    """Return the request's connection; outside a request, a connection of the caller's own.

    Both spellings work: `with get_db_connection() as conn:` commits, or rolls back on an exception, and
    gives back; `conn = get_db_connection(); ...; conn.close()` gives back. What is forgotten goes back when
    the request ends. A nested call gets the outer one's connection and joins its transaction.

    Args:
        autocommit: True for reads: each statement is its own transaction, and no BEGIN or COMMIT is sent.
            A nested call without it puts the shared connection back into transactions.
        timeout: seconds to wait for a connection; the pool's own when None.

    Raises:
        PoolTimeout: none became free in time.
        psycopg2.OperationalError: the server cannot be reached.
    """
    current = scope.current()
    if current is None:
        return _fresh(autocommit, timeout)
    conn = current.shared
    if conn is not None and conn.closed and not conn._depth:  # the server has cut it off
        conn.shared = False
        conn.close()
        conn = None
    if conn is None:
        conn = _fresh(autocommit, timeout)
        current.share(conn)
        return conn
    conn.shared = True
    if conn.autocommit and not autocommit:
        conn.autocommit = False  # nothing is open in autocommit, so this is always allowed
    return conn


def _fresh(autocommit: bool, timeout: float | None) -> Any:
    pool = get_pool()
    return pool.getconn_for_reads(timeout) if autocommit else pool.getconn(timeout=timeout)


@contextmanager
def transaction(timeout: float | None = None) -> Iterator[Any]:
    """Run a block in one transaction: committed at its end, rolled back on an exception.

    Inside another transaction of the same request it is a savepoint: its failure undoes its own work alone.
    Inside a block of autocommit reads it is a transaction of its own.

    Args:
        timeout: seconds to wait for a connection; the pool's own when None.
    """
    conn = get_db_connection(timeout=timeout)
    if not conn._depth:
        block = conn
    elif conn._entered or conn.info.transaction_status != TRANSACTION_STATUS_IDLE:
        block = _savepoint(conn)
    else:
        block = _alone(conn)
    with block:
        yield conn


@contextmanager
def _alone(conn: Any) -> Iterator[None]:
    """Run a block in a transaction of its own: what is around it are reads in autocommit, and stays that."""
    depth, conn._depth = conn._depth, 0
    try:
        with conn:
            yield
    finally:
        conn._depth = depth
        if not conn.closed:
            conn.autocommit = True


@contextmanager
def _savepoint(conn: Any) -> Iterator[None]:
    name = f"harden_{conn._depth}"
    with conn.cursor() as cursor:
        cursor.execute(f"SAVEPOINT {name}")
    conn._depth += 1
    try:
        with until_savepoint(conn):
            yield
    except BaseException:
        _roll_back_to(conn, name)
        raise
    else:
        with conn.cursor() as cursor:
            cursor.execute(f"RELEASE SAVEPOINT {name}")
    finally:
        conn._depth -= 1


def _roll_back_to(conn: Any, name: str) -> None:
    try:
        with conn.cursor() as cursor:
            cursor.execute(f"ROLLBACK TO SAVEPOINT {name}")
    except psycopg2.Error:
        pass  # the error that led here matters more; the transaction around it cannot commit any more
