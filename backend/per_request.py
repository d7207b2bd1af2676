"""A connection or a cursor that a module keeps for the process, made one of each request's own.

    conn = connection_per_request(host="db", dbname="shop")     # was psycopg2.connect(...)
    cursor = cursor_per_request(conn)                           # was conn.cursor()

Both are proxies: within a request they stand for its own connection, taken by `psycopg2.connect` (and so out of
the pool, where that is installed) and given back when the request ends; what is not committed by then is rolled
back. Outside of requests, at import and in scripts, they stand for one connection of the process, as before.
Session settings that are made there, `conn.autocommit = True`, are made on each request's connection too.
Must not import Flask. If this is wrong, requests share a transaction.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2.extensions import connection
from werkzeug.local import LocalProxy

from . import scope

ATTRIBUTES = ("autocommit", "isolation_level", "readonly", "deferrable", "cursor_factory")
METHODS = ("set_session", "set_isolation_level", "set_client_encoding")
Setting = Callable[[Any], Any]


def connection_per_request(*args: Any, **kwargs: Any) -> Any:
    """Return a proxy for each request's own connection; connects at its first use.

    Args:
        *args, **kwargs: psycopg2.connect's.
    """
    return LocalProxy(_Connections(args, kwargs).current)


def cursor_per_request(conn: Any, *args: Any, **kwargs: Any) -> Any:
    """Return a proxy for a cursor of each request's own connection.

    Args:
        conn: what `connection_per_request` returned.
        *args, **kwargs: those of the connection's `cursor`.
    """
    return LocalProxy(_Cursors(conn, args, kwargs).current)


def _request() -> scope.Scope | None:
    """Return the scope of the current request; an app context that was pushed at import is none."""
    current = scope.current()
    return current if current is not None and current.is_of_request else None


class _Connections:
    """The connections behind one proxy."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._args, self._kwargs = args, kwargs
        self._settings: dict[str, Setting] = {}  # the last of each, in order
        self._lock = threading.Lock()
        self._pid = 0
        self._outside: Any = None

    def current(self) -> Any:
        current = _request()
        if current is None:
            return self._of_process()
        conn = current.kept.get(self)
        if conn is None:
            conn = current.kept[self] = psycopg2.connect(*self._args, **self._kwargs)
            for setting in self._settings.values():
                setting(conn)
        return conn

    def _of_process(self) -> Any:
        """Return the process's own; a child of a fork connects anew, and leaves its parent's alone."""
        with self._lock:
            if self._pid != os.getpid():
                self._outside = self._recording()
                self._pid = os.getpid()
            return self._outside

    def _recording(self) -> Any:
        factory = self._kwargs.get("connection_factory") or connection
        # A class of its own is none that the pools lease: this connection stays the process's.
        kind = type(factory.__name__, (_Recording, factory), {"_settings": self._settings})
        return psycopg2.connect(*self._args, **{**self._kwargs, "connection_factory": kind})


class _Cursors:
    """The cursors behind one proxy."""

    def __init__(self, conn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._conn, self._args, self._kwargs = conn, args, kwargs
        self._outside: Any = None

    def current(self) -> Any:
        current = _request()
        conn = self._conn._get_current_object() if isinstance(self._conn, LocalProxy) else self._conn
        cursor = self._outside if current is None else current.kept.get(self)
        if cursor is None or cursor.connection is not conn or (current is not None and cursor.closed):
            cursor = conn.cursor(*self._args, **self._kwargs)
            if current is None:
                self._outside = cursor
            else:
                current.kept[self] = cursor
        return cursor


class _Recording:
    """Mixed into the process's own connection: what is set on it is set on each request's too."""

    _settings: dict[str, Setting]

    def _note(self, name: str, setting: Setting) -> None:
        self._settings.pop(name, None)
        self._settings[name] = setting


def _attribute(name: str) -> property:
    original: Any = getattr(connection, name)

    def assign(self: Any, value: Any) -> None:
        original.__set__(self, value)
        self._note(name, lambda conn: setattr(conn, name, value))

    return property(original.__get__, assign, doc=original.__doc__)


def _method(name: str) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = getattr(super(_Recording, self), name)(*args, **kwargs)
        self._note(name, lambda conn: getattr(conn, name)(*args, **kwargs))
        return done

    call.__name__ = name
    return call


for _name in ATTRIBUTES:
    setattr(_Recording, _name, _attribute(_name))
for _name in METHODS:
    setattr(_Recording, _name, _method(_name))
