"""Leased connections: real `psycopg2.extensions.connection` objects that know their pool.

Seven tracing vendors broke `register_type`, `quote_ident` and adapters with a proxy around the connection,
because psycopg2 checks types in C. So a lease is a subclass, made through `connection_factory` and composed
with the caller's own factory. Three kinds:

* `Leased`: from `getconn()`. `close()` closes, as psycopg2's pool users expect; `putconn()` gives back.
* `Returning`: from a replaced `psycopg2.connect`. `close()` gives back.
* `Shared`: from `get_db_connection()`. `close()` gives back, nested `with` blocks join the outer one.

After the lease went back, every use answers "connection already closed", as a closed connection would; also
when the object was leased again in the meantime, to another thread. Its cursors are closed.
Must not import the pool. If a guard here is missing, one caller's late call lands in another's transaction.
"""

from __future__ import annotations

import functools
import os
import select
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2.extensions import connection

Site = list[tuple[Any, int]]


class Record:
    """What the pool knows of one physical connection. Touched by its holder alone, or under the pool's lock.

    Attributes:
        pid: the process that opened it; a child of that process must not use it.
        born, expires, returned: monotonic seconds: opened, due to be replaced, last given back.
        verified: monotonic seconds at which the server was last known to answer.
        leased: whether somebody holds it.
        number: how often it was leased so far; tells one lease of the same object from the next.
        thread, since, site: the holder's thread, when it took it, and from where.
        key: the caller's key of `getconn(key)`.
        givers: threads that gave this object back by `close()` and may still refer to it; a second one of
            theirs must not end the lease of whoever holds it now.
        cursors: weak references to the cursors of the lease.
    """

    __slots__ = (
        "__weakref__", "baseline", "born", "cursors", "expires", "give_back", "givers", "key", "leak_reported",
        "leased", "number", "pid", "poller", "ref", "returned", "since", "site", "thread", "verified",
    )  # fmt: skip

    def __init__(self, give_back: Callable[[Any], None], expires: float) -> None:
        self.pid = os.getpid()
        self.born = self.returned = self.verified = time.monotonic()
        self.expires = expires
        self.give_back = give_back
        self.leased = False
        self.number = 0
        self.key: Any = None
        self.thread = 0
        self.since = 0.0
        self.site: Site = []
        self.leak_reported = False
        self.poller: select.poll | None = None
        self.baseline: tuple[Any, ...] = ()
        self.ref: weakref.ref[Any] | None = None
        self.givers: set[int] = set()
        self.cursors: list[weakref.ref[Any]] = []

    def is_held(self) -> bool:
        """Tell whether the caller may use the connection: it is leased, and not to somebody after him."""
        if not self.givers or not self.leased:
            return self.leased
        me = threading.get_ident()
        return me == self.thread or me not in self.givers


class Leased(connection):
    """A pooled connection. The pool sets `_record` right after it was opened."""

    _record: Record | None = None

    def _usable(self) -> None:
        record = self._record
        if record is None or record.is_held():
            return
        raise psycopg2.InterfaceError("connection already closed")

    @property
    def closed(self) -> int:
        """0 while it can be used; nonzero once closed or given back."""
        record = self._record
        if record is not None and not record.is_held():
            return 1
        return int(connection.closed.__get__(self))

    @property
    def lease_number(self) -> int:
        """Which lease of this object is the current one; 0 when nobody in this process holds it."""
        record = self._record
        return record.number if record is not None and record.leased and record.pid == os.getpid() else 0

    def close(self) -> None:
        """Close the connection to the server."""
        record = self._record
        if record is not None and (record.pid != os.getpid() or not record.is_held()):
            return  # inherited over a fork: closing would end the parent's session; or given back already
        connection.close(self)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        self._usable()
        cursor = super().cursor(*args, **kwargs)
        if self._record is not None:
            _remember(self._record.cursors, cursor)
        return cursor

    def __enter__(self) -> Any:
        self._usable()
        return super().__enter__()


def _guarded(name: str) -> Any:
    original = getattr(connection, name)

    @functools.wraps(original)
    def method(self: Leased, *args: Any, **kwargs: Any) -> Any:
        self._usable()
        return getattr(super(Leased, self), name)(*args, **kwargs)

    return method


for _name in (
    "commit", "rollback", "cancel", "reset", "set_session", "set_isolation_level", "set_client_encoding",
    "lobject", "xid", "tpc_begin", "tpc_prepare", "tpc_commit", "tpc_rollback", "tpc_recover",
):  # fmt: skip
    setattr(Leased, _name, _guarded(_name))


def _guarded_attribute(name: str) -> property:
    original = getattr(connection, name)

    def assign(self: Leased, value: Any) -> None:
        self._usable()
        original.__set__(self, value)

    return property(original.__get__, assign, doc=original.__doc__)


for _name in ("autocommit", "isolation_level", "readonly", "deferrable"):
    setattr(Leased, _name, _guarded_attribute(_name))


def _remember(cursors: list[weakref.ref[Any]], cursor: Any) -> None:
    if len(cursors) % 64 == 63:  # a lease can live long and open many
        cursors[:] = [known for known in cursors if known() is not None]
    cursors.append(weakref.ref(cursor))


def close_cursors(conn: Any) -> None:
    """Close the lease's cursors, so that none executes in the next lease. Costs no round trip.

    Named ones are left: they end with their transaction, and psycopg2 itself then refuses to use them.
    """
    cursors: list[weakref.ref[Any]] = conn._record.cursors
    while cursors:
        cursor = cursors.pop()()
        if cursor is not None and cursor.name is None:
            psycopg2.extensions.cursor.close(cursor)


class Returning(Leased):
    """`close()` gives the lease back; a second `close()` does nothing, as in psycopg2."""

    def close(self) -> None:
        """Give the connection back to its pool."""
        record = self._record
        if record is None:
            super().close()
        elif record.is_held() and record.pid == os.getpid():
            record.give_back(self)


class Shared(Returning):
    """One lease for a whole request: helpers that ask again get this very object.

    `shared` is set when a second caller got it: from then on nobody's `close()` may end the lease of the
    others, and it goes back when the request ends. Nested `with` blocks are one transaction.
    """

    _depth = 0
    _entered = False
    shared = False

    def close(self) -> None:
        """Give the connection back, unless it is shared or inside a `with` block."""
        if not self.shared and not self._depth:
            super().close()

    def __enter__(self) -> Any:
        self._usable()
        if not self._depth and not self.autocommit:  # psycopg2 would begin a transaction in autocommit too
            super().__enter__()
            self._entered = True
        self._depth += 1
        return self

    def __exit__(self, *exc: Any) -> Any:
        self._depth -= 1
        if self._depth:
            return None
        # What psycopg2 was told to enter it must be told to exit, or no later `with` can enter again;
        # and what a nested call switched from autocommit to a transaction must end here as well.
        is_transaction, self._entered = self._entered or not self.autocommit, False
        try:
            return super().__exit__(*exc) if is_transaction else None
        except psycopg2.Error:
            if exc[0] is None:
                raise
            return None  # the error inside matters more than a rollback that failed; it goes on
        finally:
            self.close()


_composed: dict[tuple[type[Leased], type[connection]], type[Leased]] = {}


def leased_class(kind: type[Leased], factory: type[connection] | None) -> type[Leased]:
    """Return the class that is a lease of that kind and the caller's own connection class at once.

    Args:
        kind: Leased, Returning or Shared.
        factory: the caller's `connection_factory`; None or psycopg2's own class adds nothing.

    Raises:
        TypeError: factory is not a subclass of psycopg2's connection class.
    """
    if factory is None or factory is connection:
        return kind
    if not (isinstance(factory, type) and issubclass(factory, connection)):
        raise TypeError(f"connection_factory must be a subclass of psycopg2's connection, not {factory!r}")
    if issubclass(factory, Leased):
        return factory
    composed = _composed.get((kind, factory))
    if composed is None:
        name = f"{kind.__name__}{factory.__name__}"
        composed = type(name, (kind, factory), {"__module__": factory.__module__})
        _composed[kind, factory] = composed
    return composed


def current_site(depth: int) -> Site:
    """Return up to eight frames above `depth` as (code, line) pairs: ten times cheaper than a stack text."""
    import sys

    frame = sys._getframe(depth)
    site: Site = []
    while frame is not None and len(site) < 8:
        site.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back  # type: ignore[assignment]
    return site


def site_text(site: Site) -> str:
    """Return the site as one line, the innermost call first."""
    return " < ".join(f"{code.co_filename}:{line} in {code.co_name}" for code, line in site)


def take(conn: Any, key: Any, site: Site) -> None:
    """Mark the connection as held by this thread, from now on."""
    record: Record = conn._record
    record.leased = True
    record.number += 1
    record.leak_reported = False
    record.key = key
    record.thread = threading.get_ident()
    record.since = time.monotonic()
    record.site = site
    if isinstance(conn, Shared):
        conn.shared = False
        conn._depth = 0
        conn._entered = False
