"""Leased connections: real `psycopg2.extensions.connection` objects that know their pool.

Seven tracing vendors broke `register_type`, `quote_ident` and adapters with a proxy around the connection,
because psycopg2 checks types in C. So a lease is a subclass, made through `connection_factory` and composed
with the caller's own factory. Three kinds:

* `Leased`: from `getconn()`. `close()` closes, as psycopg2's pool users expect; `putconn()` gives back.
* `Returning`: from a replaced `psycopg2.connect`. `close()` gives back.
* `Shared`: from `get_db_connection()`. `close()` gives back, nested `with` blocks join the outer one.

After the lease went back, every use answers "connection already closed", as a closed connection would; also
when the object was leased again in the meantime, to another thread. Its cursors are closed.
What may leave something behind is noted in the record as it happens, so that a lease that did nothing costs
nothing to clean. Must not import the pool. If a guard here is missing, one caller's late call lands in
another's transaction.
"""

from __future__ import annotations

import functools
import logging
import os
import socket
import threading
import weakref
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_ACTIVE, connection

from .after_commit import commit_and_run, end_of_lease, rollback_and_drop
from .record import Record
from .site import app_line, thread_name

log = logging.getLogger(__name__)
_driver: Any = connection
_status = _driver.get_transaction_status
# Both set by the query cache at its first use: what makes the cursors of all leases, and what is told of each
# call of a lease that may change answers without a cursor, such as `reset()` and `tpc_commit()`.
dress: Callable[..., Any] | None = None
# Set by watch.py: makes the cursors of all leases such that their queries are noted.
monitored: Callable[[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any] | None = None
overheard: Callable[[], None] | None = None


class Leased(connection):
    """A pooled connection. The pool sets `_record` right after it was opened."""

    _record: Record | None = None

    def _usable(self) -> Record | None:
        record = self._record
        if record is None or (record.leased and not record.givers) or record.is_held():
            return record
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
        if record is not None and record.promised:
            end_of_lease(self, record)
        connection.close(self)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        record = self._usable()
        if record is None:
            return super().cursor(*args, **kwargs)
        record.touched = True
        if record.thread != threading.get_ident():
            _note_user(record)
        make = super().cursor
        if monitored is not None:
            if dress is None and record.watch is None:  # the common case, and on every query's path
                cursor = monitored(self, make, args, kwargs)
                _remember(record.cursors, cursor)
                return cursor
            make = functools.partial(_monitored, self, make)
        if dress is not None:
            make = functools.partial(dress, make)
        cursor = make(*args, **kwargs) if record.watch is None else record.watch(self, make, *args, **kwargs)
        _remember(record.cursors, cursor)
        return cursor

    def commit(self) -> None:
        record = self._usable()
        if record is not None:
            record.touched = True
            if record.promised:
                commit_and_run(self, record, super().commit)
                return
        super().commit()

    def rollback(self) -> None:
        record = self._usable()
        if record is not None:
            record.touched = True
            if record.promised:
                rollback_and_drop(self, record, super().rollback)
                return
        super().rollback()

    def __enter__(self) -> Any:
        record = self._usable()
        if record is not None:
            record.touched = True
        return super().__enter__()


def _monitored(conn: Any, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return make(*args, **kwargs) if monitored is None else monitored(conn, make, args, kwargs)


_TWO_PHASE_ENDS = {"tpc_commit": commit_and_run, "tpc_rollback": rollback_and_drop}


def _guarded(name: str, *, alters: bool) -> Any:
    original = getattr(connection, name)

    @functools.wraps(original)
    def method(self: Leased, *args: Any, **kwargs: Any) -> Any:
        record = self._usable()
        if record is not None:
            record.touched = True
            record.altered |= alters
            if alters and record.watch is not None:
                record.watch.see_call(self, name, args, kwargs)
        if overheard is not None:
            overheard()
        if record is not None and record.promised and name in _TWO_PHASE_ENDS and not args:
            return _TWO_PHASE_ENDS[name](self, record, getattr(super(Leased, self), name))
        return getattr(super(Leased, self), name)(*args, **kwargs)

    return method


for _name in ("cancel", "lobject", "xid", *(f"tpc_{_part}" for _part in (
    "begin", "prepare", "commit", "rollback", "recover",
))):  # fmt: skip
    setattr(Leased, _name, _guarded(_name, alters=False))
for _name in ("reset", "set_session", "set_isolation_level", "set_client_encoding"):
    setattr(Leased, _name, _guarded(_name, alters=True))


def _guarded_attribute(name: str) -> property:
    original = getattr(connection, name)

    def assign(self: Leased, value: Any) -> None:
        record = self._usable()
        if record is not None:
            record.touched = record.altered = True
            if record.watch is not None:
                record.watch.see_call(self, name, (value,), {})
        original.__set__(self, value)

    return property(original.__get__, assign, doc=original.__doc__)


for _name in ("autocommit", "isolation_level", "readonly", "deferrable", "cursor_factory", "notices", "notifies"):
    setattr(Leased, _name, _guarded_attribute(_name))


def _note_user(record: Record) -> None:
    """Remember another thread that uses this lease; say so once when it is more than a hand-over."""
    users = record.users = record.users or set()
    if (me := threading.get_ident()) in users:
        return
    users.add(me)
    if len(users) == 2:  # the taker, and two more
        log.warning(
            "one connection, taken by %s, is used by several threads, now at %s: their statements share one "
            "transaction; take a connection in each thread instead",
            thread_name(record.thread), app_line(),
        )  # fmt: skip


def _remember(cursors: list[weakref.ref[Any]], cursor: Any) -> None:
    if len(cursors) % 64 == 63:  # a lease can live long and open many
        cursors[:] = [known for known in cursors if known() is not None]
    cursors.append(weakref.ref(cursor))


def close_cursors(record: Record) -> None:
    """Close the lease's cursors, so that none executes in the next lease. Costs no round trip.

    Named ones are left: they end with their transaction, and psycopg2 itself then refuses to use them.
    """
    cursors = record.cursors
    while cursors:
        cursor = cursors.pop()()
        if cursor is not None and cursor.name is None:
            psycopg2.extensions.cursor.close(cursor)


def is_inherited(conn: Any) -> bool:
    """Tell whether a lease is the parent's, over a fork: then nothing of it is this process's to touch."""
    record: Record | None = getattr(conn, "_record", None)
    return record is not None and record.pid != os.getpid()


def hang_up(conn: Any) -> None:
    """Close the connection to the server, unless it is the parent's.

    While a statement is under way another thread may be inside libpq, and psycopg2 holds no lock for a COPY:
    closing would free what that thread still reads. So its socket is shut down, which ends the other thread's
    wait with an error; the connection is freed when its last user lets go of it.
    """
    if is_inherited(conn):
        return  # closing would end the parent's session
    try:
        if not connection.closed.__get__(conn) and _status(conn) == TRANSACTION_STATUS_ACTIVE:
            _shut_down(conn)
        else:
            connection.close(conn)
    except Exception:
        pass  # it is gone either way


def _shut_down(conn: Any) -> None:
    with socket.socket(fileno=os.dup(connection.fileno(conn))) as line:  # a copy: `with` closes what it has
        line.shutdown(socket.SHUT_RDWR)


class Returning(Leased):
    """`close()` gives the lease back; a second `close()` does nothing, as in psycopg2."""

    def close(self) -> None:
        """Give the connection back to its pool."""
        record = self._record
        if record is None:
            super().close()
        elif record.give_back is not None and record.is_held() and record.pid == os.getpid():
            record.give_back(self)


class Shared(Returning):
    """One lease for a whole request: helpers that ask again get this very object.

    `shared` is set when a second caller got it: from then on nobody's `close()` may end the lease of the
    others, and it goes back when the request ends. Nested `with` blocks are one transaction.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begin_lease()

    def begin_lease(self) -> None:
        """Forget what the last lease has set here; its pool calls this as it hands it out."""
        self._depth = 0
        self._entered = False
        self.shared = False

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
