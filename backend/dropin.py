"""`psycopg2.connect`, replaced with no edit at any call site.

`install()` replaces `psycopg2._connect`, which the public `connect` looks up at each call: modules that did
`from psycopg2 import connect` before are served too, and the public function keeps its identity and its
documentation. Each distinct set of parameters has a pool of its own; `conn.close()` gives the lease back.

Passed through untouched: asynchronous and replication connections, connection factories that are not plain
subclasses, and callers that pool themselves (SQLAlchemy, Django and the like). psycopg2's own pool classes
are served as well, by pool_classes.py.
Must not import Flask. If this is wrong, code that never heard of us breaks.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from typing import Any

import psycopg2
import psycopg2.extras
from psycopg2.extensions import connection, make_dsn, parse_dsn

from . import pool_classes, scope
from .connection import Returning
from .database_pool import ThreadedConnectionPool
from .errors import SettingsError
from .pool_options import PoolOptions

DRIVER: Any = psycopg2  # its private `_connect` is not in the type stubs
log = logging.getLogger(__name__)

SELF_POOLING = frozenset({"psycopg2_pool", "dbutils", "sqlalchemy", "django", "peewee", "playhouse"})
# Factories without state of their own; any other subclass might keep some from one lease to the next.
FACTORIES = (
    None, connection, psycopg2.extras.DictConnection, psycopg2.extras.RealDictConnection,
    psycopg2.extras.NamedTupleConnection,
)  # fmt: skip
MOST_POOLS = 64
# What says where a connection goes and who asks; a redirect replaces these and keeps the rest.
LOCATION = frozenset({
    "host", "hostaddr", "port", "user", "password", "passfile", "dbname", "service", "sslmode", "sslcert",
    "sslkey", "sslpassword", "sslrootcert", "channel_binding", "gssencmode", "target_session_attrs",
})  # fmt: skip


class ReturningPool(ThreadedConnectionPool):
    """A pool whose connections come back by `close()`."""

    lease_kind = Returning
    waits_for_itself = False


class DropIn:
    """The replacement for `psycopg2._connect`, and the pools behind it."""

    def __init__(self, minconn: int, maxconn: int, options: PoolOptions, redirect: str | None) -> None:
        self.original = DRIVER._connect
        self.asked: tuple[Any, ...] = ()
        self.pools: dict[tuple[str, Any], ReturningPool] = {}
        self._known: dict[tuple[str, Any], ReturningPool] = {}  # by what callers say, before a redirect
        self._sizes = (minconn, maxconn)
        self._options = options
        self._redirect = redirect
        self._lock = threading.Lock()

    def __call__(self, dsn: str, connection_factory: Any = None, **kwasync: Any) -> Any:
        pool = None if kwasync and any(kwasync.values()) else self._known.get((dsn, connection_factory))
        if pool is None or pool.closed or _self_pooling(2):
            pool = self._find(dsn, connection_factory, kwasync)
        if pool is None:
            return self._pass(dsn, connection_factory, kwasync)
        if scope.outliving:
            scope.reclaim_outliving()
        current = scope.current()
        if current is None:
            return pool.getconn()
        current.reclaim()
        conn = pool.getconn()
        current.add(conn)
        return conn

    def _find(self, dsn: str, factory: Any, kwasync: Mapping[str, Any]) -> ReturningPool | None:
        """Return the pool for a caller's parameters; None when they cannot be pooled, or their caller pools."""
        try:
            target = self._target(dsn)
            if _must_pass(target, factory, kwasync) or _self_pooling(3):
                return None
        except psycopg2.ProgrammingError:
            return None  # a malformed DSN: psycopg2 shall say so in its own way
        pool = self._pool(target, factory)
        if len(self._known) >= 4 * MOST_POOLS:
            self._known.clear()
        self._known[dsn, factory] = pool  # what was worked out once need not be again: parsing takes a while
        return pool

    def _pass(self, dsn: str, factory: Any, kwasync: Mapping[str, Any]) -> Any:
        try:
            dsn = self._target(dsn)
        except psycopg2.ProgrammingError:
            pass
        return self.original(dsn, connection_factory=factory, **kwasync)

    def _target(self, dsn: str) -> str:
        if self._redirect is None:
            return dsn
        kept = {name: value for name, value in parse_dsn(dsn).items() if name not in LOCATION}
        return str(make_dsn(self._redirect, **{**kept, **parse_dsn(self._redirect)}))

    def _pool(self, dsn: str, factory: Any) -> ReturningPool:
        key = (dsn, factory)
        pool = self.pools.get(key)
        if pool is not None and not pool.closed:
            return pool
        with self._lock:
            pool = self.pools.get(key)
            if pool is None or pool.closed:
                self._make_room()
                pool = ReturningPool(*self._sizes, dsn, connection_factory=factory, pool_options=self._options)
                self.pools[key] = pool
        return pool

    def _make_room(self) -> None:
        """Drop the oldest pool nobody uses once there are too many: parameters that differ per call."""
        if len(self.pools) < MOST_POOLS:
            return
        for key, pool in list(self.pools.items()):
            if not pool.stats()["used"]:
                del self.pools[key]
                self._known.clear()
                pool.drain()  # not closed: a caller may have just got hold of it
                log.warning("%d sets of connection parameters in use; dropped the oldest pool", MOST_POOLS)
                return

    def stats(self) -> list[dict[str, Any]]:
        """Return each pool's figures, with the database and the user it is for."""
        return [{**who, **pool.stats()} for who, pool in self.described()]

    def described(self) -> list[tuple[dict[str, Any], ReturningPool]]:
        """Return each pool with the database and the user it is for."""
        scope.reclaim_outliving()  # what nobody refers to is not in use
        return [(_who(dsn), pool) for (dsn, _), pool in list(self.pools.items())]

    def close(self) -> None:
        """Close every pool; connections in use end when their users close them."""
        for pool in list(self.pools.values()):
            if not pool.closed:
                pool.drain()
        self.pools.clear()
        self._known.clear()


def _must_pass(dsn: str, factory: Any, kwasync: Mapping[str, Any]) -> bool:
    return any(kwasync.values()) or factory not in FACTORIES or "replication" in parse_dsn(dsn)


def _self_pooling(depth: int) -> bool:
    """Tell whether the caller of `psycopg2.connect` pools connections itself."""
    frame: Any = sys._getframe(depth)
    while frame is not None and frame.f_globals.get("__name__") == "psycopg2":
        frame = frame.f_back
    name = frame.f_globals.get("__name__", "") if frame is not None else ""
    return name == "psycopg2.pool" or name.partition(".")[0] in SELF_POOLING


def _who(dsn: str) -> dict[str, Any]:
    parts = parse_dsn(dsn)
    return {name: parts.get(name, "") for name in ("host", "port", "dbname", "user")}


_installed: DropIn | None = None


def install(
    minconn: int | None = None,
    maxconn: int | None = None,
    pool_options: PoolOptions | None = None,
    redirect: str | None = None,
) -> None:
    """Have `psycopg2.connect` lease from pools. Doing it again changes nothing.

    Args:
        minconn, maxconn: sizes of each pool; 1 and 8 when None.
        pool_options: all else. By default returned connections are reset by `conn.reset()` (one round trip),
            and a thread that holds a connection may open more, up to twice maxconn in all.
        redirect: a DSN that every connection goes to, wherever its caller's parameters point.

    Raises:
        SettingsError: it is installed already with other arguments, or the sizes are wrong.
    """
    global _installed
    asked = (minconn, maxconn, pool_options, redirect)
    if _installed is not None:
        if asked in ((None,) * 4, _installed.asked):
            return
        raise SettingsError(["psycopg2.connect is pooled with other arguments; call uninstall() first"])
    low, high = 1 if minconn is None else minconn, 8 if maxconn is None else maxconn
    options = pool_options or PoolOptions(reset="reset", nested_overflow=high)
    ReturningPool(low, high)  # refuses wrong sizes here and not at the first request
    _installed = DropIn(low, high, options, redirect)
    _installed.asked = asked
    DRIVER._connect = _installed
    pool_classes.cover(options)


def uninstall() -> None:
    """Restore `psycopg2.connect`; idle connections are closed, leased ones when they come back."""
    global _installed
    if _installed is None:
        return
    DRIVER._connect = _installed.original
    pool_classes.uncover()
    _installed.close()
    _installed = None


def installed() -> DropIn | None:
    """Return the active drop-in, for its pools and figures; None when there is none."""
    return _installed
