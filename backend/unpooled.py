"""`psycopg2.connect` as it always was, but with queries that are seen: for test suites.

Connections are the app's own, opened and closed as ever; no pool keeps one alive while a fixture drops its
database. SQLAlchemy's and psycopg2's own pools get them as well. Not seen: connections opened before, asynchronous
ones, and factories that are no classes.
Must not import Flask or a pool. If this is wrong, a test suite behaves unlike the app.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2.extensions import connection

from .connection import Leased
from .errors import MonitorError
from .monitor import cursor_of

DRIVER: Any = psycopg2  # its private `_connect` is not in the type stubs
_classes: dict[type[connection], type[connection]] = {}
_active: _Connect | None = None


class Seen(connection):
    """A connection whose cursors are monitored."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Make a cursor, as psycopg2's own method."""
        return cursor_of(self, super().cursor, args, kwargs)


class _Connect:
    """Stands in for `psycopg2._connect`, which the public `connect` looks up at each call."""

    def __init__(self) -> None:
        self.original = DRIVER._connect

    def __call__(self, dsn: str, connection_factory: Any = None, **kwasync: Any) -> Any:
        factory = connection_factory if any(kwasync.values()) else _seen(connection_factory)
        return self.original(dsn, connection_factory=factory, **kwasync)


def _seen(factory: Any) -> Any:
    if factory is None or factory is connection:
        return Seen
    if not isinstance(factory, type) or not issubclass(factory, connection) or issubclass(factory, (Seen, Leased)):
        return factory
    made = _classes.get(factory)
    if made is None:
        made = _classes[factory] = type(factory.__name__, (Seen, factory), {"__module__": factory.__module__})
    return made


def watch_connects() -> None:
    """Have the queries of all connections opened from now on seen. Doing it again changes nothing."""
    global _active
    if _active is None:
        _active = DRIVER._connect = _Connect()


def unwatch_connects() -> None:
    """Restore `psycopg2.connect`; connections that are open stay as they are.

    Raises:
        MonitorError: somebody else has replaced it since, and has to restore it first.
    """
    global _active
    if _active is None:
        return
    if DRIVER._connect is not _active:
        raise MonitorError("psycopg2.connect was replaced since; undo that first, as by uninstall()")
    DRIVER._connect, _active = _active.original, None


def is_watching() -> bool:
    """Tell whether queries of unpooled connections are seen."""
    return _active is not None
