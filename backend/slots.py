"""Which connections there are, who holds them, who waits: every decision of a pool, made under its lock.

The way in and out of a pool that is not under pressure takes no lock: `idle.pop()`, `idle.append()`,
`leased[record] = ...` and `leased.pop(record)` are single steps of the interpreter. `attention` says when
that is not enough (somebody waits, the pool is suspended, closed or above its size): then everybody comes
here. The order of two steps makes that safe, whoever is interrupted where: who waits first raises `attention`
and then looks at `idle` again; who returns first appends to `idle` and then looks at `attention`.

The lock guards `records`, `keys`, `queue`, `connecting`, `closing`, `outage`, `counts` and `attention`. Nothing
slow may happen while it is held: no connect, no ping, no close, no log.
Knows no options. If this is wrong, slots get lost, or two callers get one connection.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import psycopg2

from . import liveness
from .errors import PoolClosed, PoolTooBusy
from .guard import Guard
from .outage import Outage, copied
from .record import NEVER, Record
from .waitqueue import Waiter, WaitQueue

PERMIT = object()  # handed out instead of a connection: "open one yourself"


class Slots:
    """The state of one pool.

    Attributes:
        idle: connections that nobody uses, the one used last at the end. Last in, first out: it has a warm
            backend, and those not needed grow old together.
        leased: the records of those in use, each with its holder's thread.
        records: of all connections that are open.
        attention: whether callers must come through the lock.
        connecting, closing: connections on their way in and out; they count as open.
        reasons: how many were closed so far, by reason.
    """

    def __init__(self, minconn: int, maxconn: int, clock: Callable[[], float]) -> None:
        self.minconn, self.maxconn = minconn, maxconn
        self.closed = self.suspended = self.attention = False
        self.lock = Guard()
        self.idle: list[Any] = []
        self.leased: dict[Record, int] = {}
        self.records: dict[Record, None] = {}
        self.keys: dict[Any, Any] = {}
        self.queue = WaitQueue(clock)
        self.connecting = self.closing = 0
        self.outage = Outage()
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.past_leases = 0
        self.past_use = 0.0
        self._clock = clock
        self._dropped: deque[Record] = deque()

    @property
    def size(self) -> int:
        """Return how many connections the server sees, or soon will."""
        return len(self.records) + self.connecting + self.closing

    def decide(self, overflow: int, max_waiting: int) -> Any:
        """Return an idle connection, PERMIT, or a Waiter that was queued.

        Raises:
            PoolClosed: the pool is closed.
            PoolTooBusy: so many wait already.
        """
        with self.lock:
            self._reap()
            if self.closed:
                raise PoolClosed("connection pool is closed")
            if not self.queue and not self.suspended:
                conn = self._pop()
                if conn is not None:
                    return conn
                if self._may_connect(self.maxconn):
                    return self._permit()
            if overflow and self._may_overflow(overflow):
                self.counts["nested"] += 1
                return self._permit()
            if max_waiting and len(self.queue) >= max_waiting:
                self.counts["refused"] += 1
                raise PoolTooBusy("refused, too many callers wait already")
            return self._queued(self.queue.join())

    def _queued(self, waiter: Waiter) -> Waiter:
        """Raise `attention` for a new waiter, and then look at what came back without the lock in the meantime."""
        self.attention = True
        self._serve()
        return waiter

    def _may_overflow(self, overflow: int) -> bool:
        is_possible = not self.suspended and self._may_connect(self.maxconn + overflow)
        return is_possible and self.holds(threading.get_ident())

    def settle(self) -> list[Any]:
        """Hand out what is free to those who wait.

        Returns:
            connections to be closed, each followed by a call of `gone`: of a closed pool, or above maxconn.
        """
        with self.lock:
            self._reap()
            surplus = self._surplus()
            self._serve()
        return surplus

    def _surplus(self) -> list[Any]:
        surplus = []
        while self.closed or self.size - self.closing > self.maxconn:
            conn = self._pop()
            if conn is None:
                break
            surplus.append(conn)
            self._leave(conn._record)
        return surplus

    def _serve(self) -> None:
        while self.queue and not (self.closed or self.suspended):
            got = self._pop()
            if got is None:
                if not self._may_connect(self.maxconn):
                    break
                got = self._permit()
            self.queue.serve(got)
        over = self.size > self.maxconn
        self.attention = bool(self.queue) or self.closed or self.suspended or over

    def _pop(self) -> Any:
        try:
            return self.idle.pop()
        except IndexError:  # not `if idle`: those who need no lock may have been here first
            return None

    def _permit(self) -> Any:
        self.connecting += 1
        if self.size > self.maxconn:
            self.attention = True
        return PERMIT

    def _may_connect(self, limit: int) -> bool:
        if self.size >= limit:
            return False
        outage = self.outage
        if not outage.failures:
            return True
        if self.connecting:
            return False  # that attempt will tell
        return outage.is_next_due(self._clock()) or not self._is_anybody_alive()

    def _is_anybody_alive(self) -> bool:
        """Tell whether there is a connection whose server still holds on to it: it may come back."""
        me = threading.get_ident()  # what the caller holds itself will not come back while it waits
        # Of all records: one on its way in or out is for a moment neither idle nor leased.
        others = [record.connection() for record in self.records if self.leased.get(record) != me]
        return any(conn is not None and not liveness.has_hung_up(conn) for conn in others)

    def is_probing(self) -> bool:
        """Tell whether all there is to wait for is one attempt to connect, the only one that an outage allows."""
        with self.lock:
            is_one = bool(self.outage.failures and self.connecting)
            return is_one and self.size < self.maxconn and not self.suspended

    def raise_if_unreachable(self) -> None:
        """Raise the outage's cause when it, and not the pool's size, is why nothing could be had."""
        with self.lock:
            cause = self.outage.cause
            if cause is not None and not self.suspended and self.size < self.maxconn:
                raise copied(cause)

    def reserve(self, *, presses: bool) -> bool:
        """Take a permit for a connection that fills the pool up to minconn.

        Args:
            presses: try in an outage as well, before the next try is due.
        """
        with self.lock:
            self._reap()
            if self.closed or self.suspended or self.size >= self.minconn or not self._may_connect(self.maxconn):
                return False
            if self.outage.failures and not presses and not self.outage.is_next_due(self._clock()):
                return False
            self.connecting += 1
            return True

    def connected(self, conn: Any) -> bool:
        """Enter a connection that was opened on a permit; False when an outage ended with it."""
        record: Record = conn._record
        record.ref = weakref.ref(conn, self._on_drop(record))
        with self.lock:
            self.connecting -= 1
            self.records[record] = None
            self.counts["opened"] += 1
            was_out = bool(self.outage.failures)
            self.outage.ended()
            if was_out:
                self._serve()  # one at a time no longer
        return not was_out

    def connect_failed(self, error: BaseException, begun: float) -> Waiter | None:
        """Give a permit back.

        Args:
            error: what connecting raised.
            begun: when the attempt was.

        Returns:
            a Waiter at the head of the queue, when there is another connection to be had, or may be soon: a
            server that has no room for one more is no reason to fail. None when the error is to be raised.
        """
        with self.lock:
            self.connecting -= 1
            if isinstance(error, psycopg2.Error):
                self.counts["connect_failures"] += 1
                is_certain = self.outage.failed(error, begun, self._clock())
                # An attempt begun in the same moment may be the one that there was room for.
                if not self.closed and (self.connecting or self._is_anybody_alive()):
                    return self._queued(self.queue.join_first())
                if is_certain:
                    while self.queue.serve(copied(error)):
                        pass
            self._serve()
        return None

    def withdraw_permit(self) -> None:
        """Give a permit back that nobody used."""
        with self.lock:
            self.connecting -= 1
            self._serve()

    def take_due(self, is_due: Callable[[Record], str]) -> list[tuple[Any, str]]:
        """Take out the idle connections for whose record `is_due` gives a reason, the longest idle first.

        Those whose server has hung up as well: to be replaced before a caller meets them.
        """
        due = []
        with self.lock:
            for conn in list(self.idle):
                reason = "broken" if liveness.has_hung_up(conn) else is_due(conn._record)
                if reason and self._take_out(conn):
                    self._leave(conn._record)
                    due.append((conn, reason))
        return due

    def _take_out(self, conn: Any) -> bool:
        try:
            self.idle.remove(conn)  # compares by identity first; a connection has no other equality
        except ValueError:
            return False  # leased in the meantime
        return True

    def _leave(self, record: Record) -> None:
        if self.records.pop(record, self) is None:
            self.closing += 1
            self._keep_figures(record)

    def _keep_figures(self, record: Record) -> None:
        self.past_leases += record.number
        self.past_use += record.use_time

    def leave(self, record: Record) -> None:
        """Strike out a connection that is about to be closed; `gone` has to follow."""
        with self.lock:
            self._leave(record)

    def gone(self, reason: str) -> None:
        """Free the slot of a connection that was closed."""
        with self.lock:
            self._count_closed(reason)
            self._serve()

    def _count_closed(self, reason: str) -> None:
        self.closing -= 1
        self.counts["closed"] += 1
        self.reasons[reason] += 1

    def exchanged(self, reason: str) -> Waiter | None:
        """Turn the slot of a connection that was closed into a permit.

        Returns:
            a Waiter at the head of the queue instead, when in an outage somebody else is trying already.
        """
        with self.lock:
            self._count_closed(reason)
            if not (self.outage.failures and self.connecting):
                self.connecting += 1
                return None
            return self._queued(self.queue.join_first())

    def suspend(self) -> None:
        """Serve nobody until `resume`."""
        with self.lock:
            self.suspended = self.attention = True

    def resume(self) -> None:
        """Serve again."""
        with self.lock:
            self.suspended = False

    def retire_all(self) -> list[Any]:
        """Have every connection replaced; returns the idle ones, to be closed."""
        with self.lock:
            for record in self.records:
                record.expires = record.fit_until = NEVER
            idle = list(iter(self._pop, None))
            for conn in idle:
                self._leave(conn._record)
        return idle

    def suspect_idle(self) -> None:
        """Have the idle connections asked before they are trusted again."""
        for conn in list(self.idle):
            conn._record.fit_until = NEVER

    def close(self) -> list[Any]:
        """Refuse all that comes from now on; returns the idle connections, to be closed."""
        with self.lock:
            if self.closed:
                raise PoolClosed("connection pool is closed")
            self.closed = self.attention = True
            while self.queue.serve(PoolClosed("connection pool was closed while this caller waited")):
                pass
            return self._surplus()

    def holds(self, thread: int) -> bool:
        """Tell whether that thread holds a lease."""
        return thread in list(self.leased.values())

    def is_held_by_one(self, thread: int) -> bool:
        """Tell whether that thread holds every connection there is: to wait for one is to wait for itself."""
        holders = list(self.leased.values())
        return bool(holders) and not self.connecting and all(holder == thread for holder in holders)

    def leases(self) -> list[Record]:
        """Return the records of those in use, the oldest lease first."""
        return sorted(self.leased, key=lambda record: record.since)

    def waiters(self) -> list[tuple[int, float]]:
        """Return each waiter's thread and when it began to wait, the first to be served first."""
        with self.lock:
            return self.queue.waiters()

    def _on_drop(self, record: Record) -> Callable[[Any], None]:
        dropped, myself = self._dropped, weakref.ref(self)

        def notice(_: Any) -> None:
            dropped.append(record)  # inside the collector, perhaps in the thread that is inside the lock
            slots = myself()
            if slots is not None:
                slots.lock.later(slots.free_dropped)

        return notice

    def free_dropped(self) -> None:
        """Free the slots of connections that were collected, for those who wait."""
        with self.lock:
            self._reap()
            self._serve()

    def _reap(self) -> None:
        """Free the slots of connections that were collected: leased and dropped, or lost on the way."""
        while self._dropped:
            record = self._dropped.popleft()
            was_open = self.records.pop(record, self) is None
            if self.leased.pop(record, None) is not None or was_open:
                self.counts["dropped"] += 1
                self._keep_figures(record)
