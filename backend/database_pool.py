"""ThreadedConnectionPool: psycopg2's pool class, and what production needs of it.

Same signature, names and exceptions as `psycopg2.pool.ThreadedConnectionPool`; only the import changes.
Different on purpose: a caller waits (first come, first served, with a timeout) where psycopg2 raises; the
pool keeps up to maxconn connections where psycopg2 closes all above minconn; it connects when the first
caller needs it, not when it is constructed; dead connections are replaced; a failed rollback frees its slot;
a forked child gets connections of its own.

Leasing itself is in leasing.py; here is what people do to a pool. Knows nothing of Flask, settings or monitors.
"""

from __future__ import annotations

from typing import Any

from psycopg2.extensions import connection

from . import holders, reset, upkeep
from .housekeeper import housekeeper
from .leasing import Leasing
from .pool_options import PoolOptions, checked_sizes
from .record import Record

_status: Any = connection.get_transaction_status


class ThreadedConnectionPool(Leasing):
    """A pool of connections, shared by the threads of one process.

    Args:
        minconn: connections that are kept even when idle for long, and opened in the background once the
            pool is in use. None is opened before it is needed.
        maxconn: most connections at a time.
        *args, **kwargs: as for `psycopg2.connect`.
        pool_options: all else; see `PoolOptions`.

    Raises:
        SettingsError: minconn is above maxconn, or one is out of range.
    """

    def __init__(
        self,
        minconn: int,
        maxconn: int,
        *args: Any,
        pool_options: PoolOptions | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(checked_sizes(minconn, maxconn), args, kwargs, pool_options or PoolOptions())

    def connection(self, timeout: float | None = None) -> Lease:
        """Lease for a block: commit on success, rollback on an exception, given back in any case.

        Args:
            timeout: as for `getconn`.
        """
        return Lease(self, timeout)

    def stats(self) -> dict[str, Any]:
        """Return the pool's figures. Gauges are of one moment and need not add up with the counters."""
        return upkeep.figures(self)

    def resize(self, minconn: int, maxconn: int) -> None:
        """Change the sizes. Connections above the new maxconn are closed as they come back."""
        low, high = checked_sizes(minconn, maxconn)
        self._own()
        self._slots.minconn, self._slots.maxconn = low, high
        self._close_surplus()
        if self._slots.records:
            housekeeper.watch(self)

    def fill(self) -> None:
        """Open connections until there are minconn, in this thread.

        Raises:
            psycopg2.OperationalError: the server cannot be reached.
        """
        self._own()
        upkeep.fill(self, raises=True)

    def drain(self) -> None:
        """Replace every connection: idle ones are closed now, leased ones when they come back."""
        self._own()
        for conn in self._slots.retire_all():
            self._discard_taken(conn, "drained")

    def suspend(self) -> None:
        """Have every further caller wait, as if all connections were out, until `resume()` or its timeout."""
        self._own()
        self._slots.suspend()

    def resume(self) -> None:
        """End a suspension; who waits is served, first come first."""
        self._own()
        self._slots.resume()
        self._close_surplus()

    def closeall(self) -> None:
        """Close every connection, also those in use; callers that wait get PoolClosed.

        Raises:
            PoolError: the pool is closed already, as in psycopg2.
        """
        self.close(timeout=0.0)

    def close(self, timeout: float = 0.0) -> int:
        """Close the pool: nobody is served any more, and what is in use may still come back for a while.

        Args:
            timeout: seconds to wait for connections that are in use.

        Returns:
            how many were still in use then, and were closed under their users.

        Raises:
            PoolError: the pool is closed already.
        """
        self._own()
        for conn in self._slots.close():
            self._discard_taken(conn, "pool closed")
        housekeeper.watch(self)  # to be forgotten
        upkeep.wait_for_returns(self, timeout)
        cut = 0
        for record in self._slots.leases():
            conn = record.connection()
            if conn is not None and self._leased.pop(record, None) is not None:
                self._discard(conn, "pool closed")
                cut += 1
        return cut

    def held(self) -> list[Record]:
        """Return what is known of each connection in use, the oldest lease first."""
        return self._slots.leases()

    def is_busy(self) -> bool:
        """Tell whether a caller would have to wait for others, while connecting works."""
        self._own()
        slots = self._slots
        # Somebody has to hold one: a pool whose only connection is being opened may never get it.
        is_full = not slots.idle and slots.size >= slots.maxconn and bool(slots.leased)
        return not self.closed and not slots.outage.failures and (is_full or bool(slots.queue) or slots.suspended)

    def people(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return who holds a connection, the longest first, and who waits for one, the next to be served first."""
        now = self._clock()
        return holders.holders(self.held(), now), holders.waiters(self._slots.waiters(), now)

    @property
    def _pool(self) -> list[Any]:
        """The idle connections, where psycopg2's class has them: apps count them."""
        return list(self._idle)

    @property
    def _used(self) -> dict[Any, Any]:
        """The connections in use by key, where psycopg2's class has them."""
        return {record.key or id(record): record.connection() for record in self._slots.leases()}

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"used={len(self._leased)} idle={len(self._idle)}"
        return f"<{type(self).__name__} {state} max={self.maxconn}>"


class SimpleConnectionPool(ThreadedConnectionPool):
    """psycopg2's class of that name, which threads may not share; this one they may."""


class Lease:
    """`with pool.connection() as conn`."""

    __slots__ = ("_conn", "_pool", "_timeout")

    def __init__(self, pool: ThreadedConnectionPool, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout

    def __enter__(self) -> Any:
        self._conn = conn = self._pool.getconn(None, self._timeout)
        return conn

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        conn = self._conn
        try:
            if kind is not None:
                reset.rollback_quietly(conn)
            elif _status(conn) or type(conn) is not self._pool.lease_kind:  # else there is nothing to commit
                conn.commit()
        finally:
            self._conn = None
            self._pool._return(conn, False)
