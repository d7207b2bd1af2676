"""psycopg2's own pool classes, served by ours for as long as the drop-in is installed.

`cover()` replaces the methods of `SimpleConnectionPool` and `ThreadedConnectionPool`, not the classes: a module
that imported them before, and the app's own subclasses, are covered too. What is constructed from then on
gets a pool of ours behind it; constructors still connect at once and raise when they cannot, `putconn` still
rolls back, and `getconn` waits where psycopg2's raises. `uncover()` puts the methods back, and hands what is
in use to psycopg2's own bookkeeping.

Left alone: subclasses with a `_connect` of their own, subclasses of `AbstractConnectionPool` that lock in their
own way, and sizes that ours refuses. Must not import the drop-in. If this is wrong, an app that pools by
psycopg2 breaks.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg2.pool
from psycopg2.pool import AbstractConnectionPool, SimpleConnectionPool

from .database_pool import ThreadedConnectionPool
from .errors import SettingsError
from .pool_options import PoolOptions

CLASSES = (SimpleConnectionPool, psycopg2.pool.ThreadedConnectionPool)
METHODS = ("getconn", "putconn", "closeall")
_base: Any = AbstractConnectionPool
_originals: dict[tuple[Any, str], Any] = {}
_covered: weakref.WeakSet[Any] = weakref.WeakSet()


class CoveringPool(ThreadedConnectionPool):
    """A pool behind psycopg2's class: its maxconn is kept, and who holds it all is refused at once, as there."""

    waits_for_itself = False


class _View:
    """What apps count: `len(pool._used)`, `len(pool._pool)`."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._read())


def cover(options: PoolOptions) -> None:
    """Serve psycopg2's pools; `options` are the drop-in's, of which the reset mode is psycopg2's own."""
    if _originals:
        return
    mode = "pgbouncer" if options.reset == "pgbouncer" else "rollback"
    options = replace(options, reset=mode, nested_overflow=0)
    _replace(_base, "__init__", functools.partial(_constructor, options))
    for kind in CLASSES:
        for name in METHODS:
            _replace(kind, name, _method)


def uncover() -> None:
    """Put psycopg2's methods back. Pools made in between go on under them."""
    for (kind, name), original in _originals.items():
        setattr(kind, name, original)
    _originals.clear()
    for instance in list(_covered):
        _hand_over(instance)
    _covered.clear()


def covered() -> list[ThreadedConnectionPool]:
    """Return the pools of ours that serve psycopg2's at the moment."""
    return [instance._harden for instance in list(_covered)]


def _replace(kind: Any, name: str, make: Callable[[Any], Any]) -> None:
    original = getattr(kind, name)
    _originals[kind, name] = original
    setattr(kind, name, functools.wraps(original)(make(original)))


def _constructor(options: PoolOptions, original: Any) -> Any:
    def construct(self: Any, minconn: Any, maxconn: Any, *args: Any, **kwargs: Any) -> None:
        pool = _made(self, minconn, maxconn, args, kwargs, options)
        if pool is None:
            original(self, minconn, maxconn, *args, **kwargs)
            return
        original(self, 0, maxconn, *args, **kwargs)
        self.minconn = pool.minconn
        self._harden, self._pool, self._used = pool, _View(lambda: pool._pool), _View(lambda: pool._used)
        _covered.add(self)
        pool.fill()

    return construct


def _made(
    self: Any, minconn: Any, maxconn: Any, args: Any, kwargs: Any, options: PoolOptions
) -> ThreadedConnectionPool | None:
    kind: Any = type(self)
    if not isinstance(self, CLASSES) or kind._connect is not _base._connect:
        return None
    try:
        return CoveringPool(minconn, maxconn, *args, pool_options=options, **kwargs)
    except (SettingsError, TypeError, psycopg2.ProgrammingError):
        return None  # psycopg2 shall take it, or refuse it, in its own way


def _method(original: Any) -> Any:
    name = original.__name__.lstrip("_")

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        pool = self.__dict__.get("_harden")
        if pool is None:
            return original(self, *args, **kwargs)
        result = getattr(pool, name)(*args, **kwargs)
        self.closed = pool.closed
        return result

    return method


def _hand_over(instance: Any) -> None:
    """Give psycopg2's bookkeeping what is in use; the idle connections are closed."""
    pool = instance.__dict__.pop("_harden")
    leases = [(record.key, record.connection()) for record in pool._slots.leases()]
    instance._pool, instance._used, instance._rused = [], {}, {}
    for key, conn in leases:
        if conn is not None:
            key = instance._getkey() if key is None else key
            instance._used[key] = conn
            instance._rused[id(conn)] = key
    if not pool.closed:
        pool.drain()
