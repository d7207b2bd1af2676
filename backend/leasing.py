"""Taking connections from a pool and giving them back: what happens on the way, and what takes time there.

Decisions are made in slots.py, under its lock; here a caller waits, connects, pings, resets, closes. `getconn`
and `_return` are the two paths that every request takes: each step in them is there because it must be.
Knows nothing of Flask, settings or monitors. If this is wrong, slots get lost or state crosses leases.
"""

from __future__ import annotations

import logging
import sys
import threading
from functools import partial
from os import getpid
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_INERROR, connection

from . import fork, holders, reset, upkeep
from .after_commit import end_of_lease
from .connection import Leased, Returning, close_cursors, hang_up, is_inherited
from .errors import PoolClosed, PoolTimeout, PoolTooBusy
from .guard import Guard
from .housekeeper import housekeeper
from .liveness import FRESH
from .opener import Opener
from .pool_options import PoolOptions
from .record import UNREFERENCED, Record
from .site import current_site
from .slots import PERMIT, Slots
from .waitqueue import Waiter

log = logging.getLogger(__name__)
_status: Any = connection.get_transaction_status


class Leasing:
    """The part of a pool that leases; the public class adds what people do to a pool."""

    lease_kind: type[Leased] = Leased
    waits_for_itself = True  # a caller that holds every connection may have lent them to other threads

    def __init__(
        self, sizes: tuple[int, int], args: tuple[Any, ...], kwargs: dict[str, Any], options: PoolOptions
    ) -> None:
        self.options = options
        self._opener = Opener(args, kwargs, options, self.lease_kind)
        self._start_afresh(*sizes)
        fork.protect(self)

    def _start_afresh(self, minconn: int, maxconn: int, closed: bool = False) -> None:
        self._clock = self.options.clock
        self._keeps_sites = self.options.leak_after > 0
        # Behind PgBouncer a ping would prove that PgBouncer lives, and the socket shows that.
        is_bounced = self.options.reset == "pgbouncer"
        self._trusted_for = float("inf") if is_bounced else self.options.pre_ping_after
        self._has_hook = self.options.on_return is not None
        self._is_plain = self._opener.is_plain
        self._slots = Slots(minconn, maxconn, self._clock)
        self._slots.closed = self._slots.attention = closed
        self._idle, self._leased = self._slots.idle, self._slots.leased
        self._pid = getpid()  # last: until then every caller comes to `_after_fork` first

    @property
    def minconn(self) -> int:
        """Connections that are kept even when idle for long."""
        return self._slots.minconn

    @property
    def maxconn(self) -> int:
        """Most connections at a time."""
        return self._slots.maxconn

    @property
    def closed(self) -> bool:
        """Whether the pool was closed."""
        return self._slots.closed

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
        if key is not None or self._slots.attention or self._pid != getpid():
            return self._acquire(key, timeout)
        try:
            conn = self._idle.pop()
        except IndexError:
            return self._acquire(key, timeout)
        record: Record = conn._record
        now = self._clock()
        is_rested = now - record.returned > FRESH
        if now >= record.fit_until or now >= record.expires or (is_rested and record.poll(0)):  # type: ignore[misc]
            return self._acquire(key, timeout, conn)
        if record.givers and sys.getrefcount(conn) == UNREFERENCED:
            record.givers.clear()  # no stale variable is left that could be used
        record.leased = True
        record.number += 1
        record.since = now
        record.thread = self._leased[record] = threading.get_ident()
        if self._keeps_sites:
            record.site = current_site()
        return conn

    def _acquire(self, key: Any, timeout: float | None, got: Any = None) -> Any:
        """Lease with all that may be needed: wait, ping, connect, and again when that fails."""
        if self._pid != getpid():
            self._after_fork()
            got = None
        if key is not None and not self.closed and (held := self._slots.keys.get(key)) is not None:
            return held
        start = self._clock()
        patience = self.options.timeout if timeout is None else timeout
        if got is None:
            got = self._decide()
        while True:
            if isinstance(got, Waiter):
                got = self._wait(got, start, patience)
            conn, got = self._checked(got)
            if conn is not None:
                return self._begin(conn, key)

    def _decide(self) -> Any:
        try:
            return self._slots.decide(self.options.nested_overflow, self.options.max_waiting)
        except PoolTooBusy as error:
            raise self._exhausted(PoolTooBusy, str(error)) from None

    def _wait(self, waiter: Waiter, start: float, patience: float) -> Any:
        slots = self._slots
        remaining = patience - (self._clock() - start)
        if remaining > 0 and not self.waits_for_itself and slots.is_held_by_one(threading.get_ident()):
            remaining = 0.0
        try:
            self._plan_for(waiter)
            waiter.sleep(remaining)
            if waiter.result is None and slots.is_probing():  # as if it were this caller's own attempt
                waiter.sleep(self.options.connect_timeout)
            got = waiter.result
            if got is None:
                with slots.lock:
                    got = slots.queue.leave(waiter)
                    slots.counts["timeouts"] += got is None
        except BaseException:
            self._withdraw(waiter)
            raise
        if got is None:
            if not slots.leased:  # else who holds what is worth knowing as well
                slots.raise_if_unreachable()
            text = f"no connection after {self._clock() - start:.2f} s"
            raise self._exhausted(PoolTimeout, text) from slots.outage.cause
        if isinstance(got, BaseException):
            raise got
        return got

    def _plan_for(self, waiter: Waiter) -> None:
        """Have the housekeeper try again for those who wait out an outage."""
        outage = self._slots.outage
        if outage.failures and waiter.result is None:
            housekeeper.watch(self, max(0.0, outage.next_try - self._clock()))

    def _exhausted(self, kind: type[PoolTimeout] | type[PoolTooBusy], what: str) -> Any:
        leases = self._slots.leases()
        held = holders.holders(leases, self._clock())
        if leases and self._slots.is_held_by_one(threading.get_ident()):
            what += ", and this very thread holds them all"
        figures = upkeep.figures(self)
        return kind(holders.exhausted(what, figures, held, self._slots.outage.cause), figures, held)

    def _withdraw(self, waiter: Waiter) -> None:
        """Pass on what was handed to a caller that was interrupted while it waited."""
        with self._slots.lock:
            got = self._slots.queue.leave(waiter)
        if got is PERMIT:
            self._slots.withdraw_permit()
        elif isinstance(got, connection):
            self._idle.append(got)
            self._close_surplus()

    def _checked(self, got: Any) -> tuple[Any, Waiter | None]:
        """Make a fit connection of what was handed out; or return a Waiter, for another try."""
        if got is not PERMIT:
            try:
                is_fit = self._opener.is_fit(got)
            except BaseException:
                self._discard(got, "interrupted")
                raise
            if is_fit:
                return got, None
            is_due = self._clock() >= got._record.expires
            if not is_due:
                self._slots.suspect_idle()  # the server it led to is gone: perhaps theirs as well
            waiter = self._swap(got, "max_lifetime" if is_due else "broken")
            if waiter is not None:
                return None, waiter
        return self._open()

    def _open(self) -> tuple[Any, Waiter | None]:
        """Connect on a permit."""
        slots, begun = self._slots, self._clock()
        try:
            conn = self._opener.open(self._give_back if issubclass(self.lease_kind, Returning) else None)
            outage = slots.outage
            if not slots.connected(conn):
                log.warning("connected again, after %.1f s of failing", self._clock() - outage.since)
        except BaseException as error:
            waiter = slots.connect_failed(error, begun)
            if waiter is None:
                raise
            return None, waiter
        finally:
            housekeeper.watch(self, upkeep.pause(self))  # a failure as well: it tries again for minconn, and tells
        return conn, None

    def _swap(self, conn: Any, reason: str) -> Waiter | None:
        """Close a connection and keep its slot, as a permit; or as a place in the queue."""
        self._slots.leave(conn._record)
        hang_up(conn)
        return self._slots.exchanged(reason)

    def _begin(self, conn: Any, key: Any) -> Any:
        slots = self._slots
        record: Record = conn._record
        record.leased = True
        record.number += 1
        record.since = self._clock()
        if self._keeps_sites:
            record.site = current_site()
        record.thread = slots.leased[record] = threading.get_ident()
        if key is not None:
            record.key = key
            slots.keys[key] = conn
        if slots.closed:  # since it was handed out: whoever closed has not seen this lease
            self._return(conn, close=True)
            raise PoolClosed("connection pool is closed")
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
        is_closed = self._slots.closed
        is_ours = self._return(conn, close or is_closed)
        if (is_closed or not is_ours) and not is_inherited(conn):
            text = "connection pool is closed" if is_closed else "trying to put unkeyed connection"
            raise PoolClosed(text) if is_closed else psycopg2.pool.PoolError(text)

    def _give_back(self, conn: Any) -> None:
        """Give back without complaints: a `close()` must not raise because of the pool."""
        self._return(conn, close=False)

    def _return(self, conn: Any, close: bool) -> bool:
        """Take a lease back; False when it was none.

        A parent's lease, in a child of a fork that we were not told of, may come as far as `_cleaned`: what is
        put into `idle` until then is the parent's list, which this child forgets at its first checkout.
        """
        try:
            record: Record = conn._record
        except AttributeError:
            return False
        if Guard.inside and self._slots.lock.is_inside():  # a finalizer gives back, in a thread inside a pool
            self._slots.lock.later(partial(self._return, conn, close))
            return True
        if record.givers and not record.is_held():
            return False
        if self._leased.pop(record, None) is None:  # a single step: only one gets it
            return False
        if record.promised and not is_inherited(conn):
            end_of_lease(conn, record)
        if record.give_back is not None:
            record.givers.add(threading.get_ident())
        if record.key is not None:
            self._slots.keys.pop(record.key, None)
            record.key = None
        now = self._clock()
        is_reported, held = record.leak_reported, now - record.since
        altered = close or record.touched or self._has_hook or _status(conn) or not reset.is_pristine(conn, record)
        if (altered or now >= record.expires) and not self._cleaned(conn, record, now, close):
            return True
        record.use_time += held
        record.leased = False
        record.returned = now
        record.fit_until = now + self._trusted_for
        self._idle.append(conn)
        if self._slots.attention:
            self._close_surplus()
        if is_reported:
            holders.report_return(held)
        return True

    def _cleaned(self, conn: Any, record: Record, now: float, close: bool) -> bool:
        """Undo what a lease left behind; when that cannot be, close the connection and return False."""
        if is_inherited(conn):
            return False
        if self._is_plain and not close and now < record.expires and reset.left_nothing(conn, record):
            record.touched = False
            record.users = None
            close_cursors(record)
            return True
        try:
            reason = "closed by its user" if close else self._fault(conn, record, now)
        except BaseException:
            record.end(now)
            self._discard(conn, "interrupted")
            raise
        if not reason:
            record.leak_reported = record.stall_reported = False
            record.users = None
            return True
        is_reported, held = record.leak_reported, now - record.since
        record.end(now)
        self._discard(conn, reason)
        if is_reported:  # last: a log handler may want a connection of its own
            holders.report_return(held)
        return False

    def _fault(self, conn: Any, record: Record, now: float) -> str:
        """Undo what the lease changed; returns why the connection cannot be kept, "" when it can."""
        options = self.options
        try:
            status = _status(conn)
            is_sent = record.touched or bool(status)
            has_failed = status == TRANSACTION_STATUS_INERROR
            if not reset.clean(conn, record, options.reset):
                return "closed by its user" if connection.closed.__get__(conn) == 1 else "broken"
            if self._opener.must_write and self._opener.is_lost_for_writes(conn, has_failed=has_failed):
                for idle in self._slots.retire_all():
                    self._discard_taken(idle, "read-only")
                return "read-only"
            return self._hooked(conn, record, is_sent=is_sent) or ("max_lifetime" if now >= record.expires else "")
        except Exception as error:  # a wait callback may raise anything; the caller's close() must not
            log.debug("a returned connection could not be reset and is closed: %s", error)
            return "not reset"

    def _hooked(self, conn: Any, record: Record, *, is_sent: bool) -> str:
        """Run the app's hooks on a clean connection; returns why it cannot be kept after them."""
        options = self.options
        record.thread = threading.get_ident()  # whoever gives back may not be who took; the hook is his
        if options.configure is not None and is_sent and options.reset in ("reset", "watch"):
            options.configure(conn)  # what it has set by SQL went with the reset
        if options.on_return is not None:
            options.on_return(conn)
        if _status(conn):
            return "left in a transaction by a hook"
        record.touched = False
        close_cursors(record)
        return ""

    def _close_surplus(self) -> None:
        """Hand out what is free; close what is above maxconn, or of a closed pool."""
        surplus = self._slots.settle()
        for conn in surplus:
            self._discard_taken(conn, "pool closed" if self.closed else "above maxconn")

    def _discard(self, conn: Any, reason: str) -> None:
        self._slots.leave(conn._record)
        self._discard_taken(conn, reason)

    def _discard_taken(self, conn: Any, reason: str) -> None:
        """Close a connection that `Slots` has struck out already."""
        hang_up(conn)
        self._slots.gone(reason)
        log.debug("connection closed: %s", reason)

    def _housekeep(self) -> float | None:
        return upkeep.housekeep(self)

    def _own(self) -> None:
        """Make sure that this is not the parent's state, where no hook told us of a fork."""
        if self._pid != getpid():
            self._after_fork()

    def _after_fork(self) -> None:
        """Forget the parent's connections. Its lock may have been held at the fork: take a new one first."""
        with fork.once:
            if self._pid == getpid():
                return  # another thread of this child was first
            parents = self._slots
            known = list(parents.records)
            Guard.forget_others()
            self._start_afresh(parents.minconn, parents.maxconn, parents.closed)
        fork.disown([conn for conn in (record.connection() for record in known) if conn is not None])
