"""ThreadedConnectionPool: psycopg2's pool class, and what production needs of it.

Same signature, names and exceptions as `psycopg2.pool.ThreadedConnectionPool`; only the import changes.
Different on purpose: a caller waits (first come, first served, with a timeout) where psycopg2 raises; the
pool keeps up to maxconn connections where psycopg2 closes all above minconn; it connects when the first
caller needs it, not when it is constructed; dead connections are replaced; a failed rollback frees its slot;
a forked child gets connections of its own.

The rule of this file: decide under the lock; connect, ping, reset and close outside it. The lock guards
`_idle`, `_ledger`, `_size`, `_queue`, `_counts`; nothing slow may happen while it is held.
Knows nothing of Flask, settings or monitors.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg2
from psycopg2.extensions import connection

from . import fork, reset
from .connection import Leased, Record, Returning, close_cursors, current_site, take
from .errors import PoolClosed, PoolTimeout, PoolTooBusy
from .guard import Guard
from .idle import Idle
from .ledger import Ledger, report_return
from .opener import Opener
from .pool_options import PoolOptions, checked_sizes
from .waitqueue import Waiter, WaitQueue

log = logging.getLogger(__name__)
PERMIT = object()  # handed to a waiter instead of a connection: "open one yourself"


class ThreadedConnectionPool:
    """A pool of connections, shared by the threads of one process.

    Args:
        minconn: connections that are kept even when idle for long. None is opened before it is needed.
        maxconn: most connections at a time.
        *args, **kwargs: as for `psycopg2.connect`.
        pool_options: all else; see `PoolOptions`.

    Raises:
        SettingsError: minconn is above maxconn, or one is out of range.
    """

    lease_kind: type[Leased] = Leased

    def __init__(
        self,
        minconn: int,
        maxconn: int,
        *args: Any,
        pool_options: PoolOptions | None = None,
        **kwargs: Any,
    ) -> None:
        self.minconn, self.maxconn = checked_sizes(minconn, maxconn)
        self.options = pool_options or PoolOptions()
        self.closed = False
        self._opener = Opener(args, kwargs, self.options, self.lease_kind)
        self._start_afresh()
        fork.protect(self)

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        self._lock = Guard()
        self._idle = Idle()
        self._ledger = Ledger()
        self._size = 0
        self._queue = WaitQueue()
        self._counts: Counter[str] = Counter()
        self._wait_time = 0.0

    def getconn(self, key: Any = None, timeout: float | None = None) -> Any:
        """Lease a connection, waiting for one if need be.

        Args:
            key: as in psycopg2: the same key gets the same connection until it is put back.
            timeout: seconds to wait; the pool's own when None; 0 does not wait.

        Raises:
            PoolTimeout: none became free in time.
            PoolTooBusy: `max_waiting` callers are waiting already.
            PoolClosed: the pool is closed.
            psycopg2.OperationalError: the server cannot be reached; raised at once, with its cause.
        """
        if self._pid != os.getpid():
            self._after_fork()
        with self._lock:
            held = self._ledger.keyed(key) if key is not None else None
            if held is not None and not self.closed:
                return held
            got = self._decide()
        if isinstance(got, Waiter):
            got = self._wait(got, self.options.timeout if timeout is None else timeout)
        return self._lease(got, key)

    def _decide(self) -> Any:
        """Return an idle connection, PERMIT, or a Waiter that was queued. Called with the lock held."""
        self._reap()
        if self.closed:
            raise PoolClosed("connection pool is closed")
        conn = self._idle.take()
        if conn is not None:
            return conn
        if self._size < self.maxconn or self._may_overflow():
            self._size += 1
            return PERMIT
        if self.options.max_waiting and len(self._queue) >= self.options.max_waiting:
            self._counts["refused"] += 1
            raise PoolTooBusy.now("refused, too many callers wait already", self._figures())
        return self._queue.join()

    def _may_overflow(self) -> bool:
        limit = self.maxconn + self.options.nested_overflow
        if self._size >= limit or not self._ledger.holds(threading.get_ident()):
            return False
        self._counts["nested"] += 1
        return True

    def _wait(self, waiter: Waiter, timeout: float) -> Any:
        start = time.monotonic()
        try:
            waiter.sleep(timeout)
            with self._lock:
                got = self._queue.leave(waiter)
                waited = time.monotonic() - start
                self._wait_time += waited
                self._counts["waited"] += 1
                if got is None:
                    self._counts["timeouts"] += 1
                    figures = self._figures()
        except BaseException:
            self._withdraw(waiter)
            raise
        if got is None:
            raise PoolTimeout.now(f"no connection after {waited:.2f} s", figures) from self._opener.last_failure
        if isinstance(got, PoolClosed):
            raise got
        return got

    def _withdraw(self, waiter: Waiter) -> None:
        """Pass on what was handed to a caller that was interrupted while it waited."""
        with self._lock:
            got = self._queue.leave(waiter)
        if got is PERMIT:
            self._free_slot()
        elif isinstance(got, connection):
            self._keep(got)

    def _lease(self, got: Any, key: Any) -> Any:
        """Turn a connection or PERMIT into a lease; gives the slot up whatever goes wrong."""
        conn = None if got is PERMIT else got
        try:
            if conn is not None and not self._opener.is_fit(conn):
                self._discard(conn, "dead or due")
                conn = None
            if conn is None:
                conn = self._open()
            take(conn, key, current_site(3) if self.options.leak_after else [])
            with self._lock:
                if self.closed:
                    raise PoolClosed("connection pool is closed")
                self._ledger.add(conn)
                self._counts["leased"] += 1
        except BaseException:
            if conn is not None:
                with self._lock:
                    self._ledger.remove(conn._record)
                self._discard(conn, "failed checkout")
            self._free_slot()
            raise
        return conn

    def _open(self) -> Any:
        try:
            conn = self._opener.open(self._give_back)
        except psycopg2.Error:
            with self._lock:
                self._counts["connect_failures"] += 1
            raise
        with self._lock:
            self._counts["opened"] += 1
        self._ledger.watch(conn, conn._record, self._notice_drop)
        return conn

    def putconn(self, conn: Any = None, key: Any = None, close: bool = False) -> None:
        """Give a connection back.

        Args:
            conn: what `getconn` returned.
            key: not needed; taken for psycopg2's sake.
            close: close it instead of keeping it.

        Raises:
            PoolError: the connection is not leased from this pool, or the pool is closed.
        """
        if self.closed:
            raise PoolClosed("connection pool is closed")
        if not self._return(conn, close):
            raise psycopg2.pool.PoolError("trying to put unkeyed connection")

    def _give_back(self, conn: Any) -> None:
        """Give back without complaints: a `close()` must not raise because of the pool."""
        self._return(conn, close=False)

    def _return(self, conn: Any, close: bool) -> bool:
        record: Record | None = getattr(conn, "_record", None)
        if record is None or record.pid != os.getpid():
            return record is not None  # a parent's lease: nothing of ours to free
        if self._lock.is_inside():  # a finalizer closes, and runs in a thread that is inside a pool
            self._lock.later(partial(self._return, conn, close))
            return True
        with self._lock:
            if not record.is_held() or not self._ledger.remove(record):
                return False
            if isinstance(conn, Returning):
                record.givers.add(threading.get_ident())
        report_return(record)
        keep = False
        try:
            keep = not close and self._is_clean(conn)
        finally:
            record.leased = False
            if keep:
                self._keep(conn)
            else:
                self._discard(conn, "closed by its user" if close else "not fit to be kept")
                self._free_slot()
        return True

    def _is_clean(self, conn: Any) -> bool:
        """Undo what the lease changed; False when the connection cannot be kept."""
        record: Record = conn._record
        if self.closed or connection.closed.__get__(conn):
            return False
        try:
            close_cursors(conn)
            clean = reset.clean(conn, record.baseline, self.options.reset)
        except Exception as error:  # a wait callback may raise anything; the caller's close() must not
            log.debug("a returned connection could not be reset and is closed: %s", error)
            return False
        record.returned = time.monotonic()
        return clean and not self._opener.is_due(record)

    def _keep(self, conn: Any) -> None:
        """Hand a clean connection to the first waiter, else keep it; close what is then too much."""
        extra = conn
        with self._lock:
            self._reap()
            if self._size <= self.maxconn and not self.closed:
                if not self._queue.serve(conn):
                    self._idle.put(conn)
                extra = self._overdue()
            if extra is not None:
                self._size -= 1
                self._serve_permits()
        if extra is not None:
            self._discard(extra, "idle for too long, or above maxconn")

    def _overdue(self) -> Any:
        """Take out the connection that was idle longest, if it is due; at most one per return."""
        limit = self.options.max_idle
        return self._idle.take_oldest(unused_for=limit) if limit and self._size > self.minconn else None

    def _free_slot(self) -> None:
        """Give a slot up; the first waiter may open a connection in its place."""
        with self._lock:
            self._size -= 1
            self._serve_permits()

    def _serve_permits(self) -> None:
        while self._size < self.maxconn and not self.closed and self._queue.serve(PERMIT):
            self._size += 1

    def _discard(self, conn: Any, reason: str) -> None:
        if conn._record.pid != os.getpid():
            return  # inherited over a fork that we were not told of: closing would end the parent's session
        try:
            connection.close(conn)
        except Exception:
            pass  # it is gone either way
        with self._lock:
            self._counts["closed"] += 1
        log.debug("connection closed: %s", reason)

    def _notice_drop(self) -> None:
        self._lock.later(self._reap_now)  # runs in the collector, perhaps in the thread that is inside the lock

    def _reap_now(self) -> None:
        with self._lock:
            self._reap()

    def _reap(self) -> None:
        """Free the slots of leases that were dropped; report those held for long. Lock held."""
        for _ in self._ledger.drops():
            self._size -= 1
            self._counts["dropped"] += 1
            self._serve_permits()
        if self.options.leak_after:
            self._ledger.report_leaks(self.options.leak_after, self._lock.later)

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Any]:
        """Lease for a block: commit on success, rollback on an exception, given back in any case.

        Args:
            timeout: as for `getconn`.
        """
        conn = self.getconn(timeout=timeout)
        try:
            yield conn
            conn.commit()
        except BaseException:
            reset.rollback_quietly(conn)
            raise
        finally:
            self._return(conn, close=False)

    def stats(self) -> dict[str, Any]:
        """Return the pool's figures. Gauges are of one moment and need not add up with the counters."""
        with self._lock:
            self._reap()
            return self._figures()

    def _figures(self) -> dict[str, Any]:
        counts = self._counts
        return {
            "minconn": self.minconn, "maxconn": self.maxconn, "size": self._size,
            "idle": len(self._idle), "used": len(self._ledger), "waiting": len(self._queue),
            "leased": counts["leased"], "waited": counts["waited"], "wait_time": self._wait_time,
            "timeouts": counts["timeouts"], "refused": counts["refused"], "nested": counts["nested"],
            "opened": counts["opened"], "closed": counts["closed"], "dropped": counts["dropped"],
            "connect_failures": counts["connect_failures"], "longest_lease": self._ledger.longest(),
        }  # fmt: skip

    def resize(self, minconn: int, maxconn: int) -> None:
        """Change the sizes. Connections above the new maxconn are closed as they come back."""
        self.minconn, self.maxconn = checked_sizes(minconn, maxconn)
        surplus = []
        with self._lock:
            while self._idle and self._size > self.maxconn:
                surplus.append(self._idle.take_oldest())
                self._size -= 1
            self._serve_permits()
        for conn in surplus:
            self._discard(conn, "resized")

    def drain(self) -> None:
        """Replace every connection: idle ones are closed now, leased ones when they come back."""
        with self._lock:
            self._opener.retire_all()
            idle = self._idle.take_all()
            self._size -= len(idle)
            self._serve_permits()
        for conn in idle:
            self._discard(conn, "drained")

    def closeall(self) -> None:
        """Close every connection, also those in use; callers that wait get PoolClosed.

        Raises:
            PoolError: the pool is closed already, as in psycopg2.
        """
        if self._pid != os.getpid():
            self._after_fork()
        with self._lock:
            if self.closed:
                raise PoolClosed("connection pool is closed")
            self.closed = True
            idle = self._idle.take_all()
            self._size -= len(idle)
            while self._queue.serve(PoolClosed("connection pool was closed while this caller waited")):
                pass
            leased = self._ledger.connections()
        for conn in idle + leased:
            self._discard(conn, "pool closed")

    def _after_fork(self) -> None:
        """Forget the parent's connections. Its lock may have been held at the fork: take a new one first."""
        with fork.once:
            if self._pid == os.getpid():
                return  # another thread of this child was first
            inherited = [*self._idle, *self._ledger.connections()]
            self._start_afresh()
        fork.disown(inherited)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"used={len(self._ledger)} idle={len(self._idle)}"
        return f"<{type(self).__name__} {state} max={self.maxconn}>"
