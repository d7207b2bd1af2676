"""Is the server still there? Asked of the socket, without a round trip.

When PostgreSQL or PgBouncer closes a connection, the client's socket becomes readable. On an idle
connection that is all there is to see, so one poll(2) tells: 0.7 microseconds, against 50 or more for the
cheapest query. One `conn.poll()` is not enough: its first read takes the server's farewell message and
reports success, only a second one sees the end of the stream. So: readable means "ask by a real query".
A half-open connection (power cut, NAT) is invisible to this; `pre_ping_after` and `peer_timeout` are for it.

Knows nothing of pools. If this is wrong, callers get connections to servers that are gone.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection

READABLE = select.POLLIN | select.POLLPRI | select.POLLERR | select.POLLHUP | select.POLLNVAL
HUNG_UP = select.POLLERR | select.POLLHUP | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)
Poll = Callable[[int], list[Any]]
# Seconds in which a socket that was in use just now is not looked at: a look lets go of the interpreter's lock,
# and under load another thread takes that at once. No longer than it takes to hear of a server's end otherwise;
# HikariCP trusts for half a second.
FRESH = 0.001


def watch(conn: connection) -> Poll:
    """Return poll(2) on the connection's socket; `watch(conn)(0)` is empty while nothing has arrived.

    To be kept as long as the connection, and not longer: the system gives its file descriptor out again.
    """
    return _poll(conn, READABLE)


def has_hung_up(conn: connection) -> bool:
    """Tell whether the server has closed a connection; also while it is in use, where answers arrive."""
    base: Any = connection
    try:
        return bool(base.closed.__get__(conn) or _poll(conn, HUNG_UP)(0))
    except (psycopg2.Error, OSError, ValueError):
        return True  # closed between the two; ValueError: broken in its user's hands, and has no socket any more


def _poll(conn: connection, events: int) -> Poll:
    # gevent puts a cooperative one in its place: that switches greenlets, and costs fifty times as much.
    gevent = sys.modules.get("gevent.monkey")
    poller = (gevent.get_original("select", "poll") if gevent else select.poll)()
    poller.register(connection.fileno(conn), events)
    poll: Poll = poller.poll
    return poll


def answers(conn: connection, within: float = 0.0) -> bool:
    """Tell whether the server answers a query; costs one round trip and leaves the session as it was.

    Args:
        within: seconds; a server that is silent for longer does not answer. 0 waits as long as the system does,
            which is for ever where the other end still acknowledges: a host that hangs, a proxy that stopped.
    """
    base: Any = connection
    try:
        if base.closed.__get__(conn) or conn.info.transaction_status != TRANSACTION_STATUS_IDLE:
            return False
        if within:
            with _Limit(conn, within) as limit:
                is_alive = answers(conn)
            return is_alive and not limit.is_over
        autocommit = conn.autocommit
        if not autocommit:
            base.autocommit.__set__(conn, True)  # else the ping would open a transaction
        with base.cursor(conn) as cursor:
            cursor.execute("SELECT 1")
        if not autocommit:
            base.autocommit.__set__(conn, False)
    except psycopg2.Error:
        return False
    return conn.info.transaction_status == TRANSACTION_STATUS_IDLE


class _Limit:
    """Hangs up when a `with` block takes longer than so many seconds, which ends libpq's wait inside it.

    A thread, because psycopg2's synchronous calls know no timeout. It is gone when the block ends.
    """

    def __init__(self, conn: connection, seconds: float) -> None:
        self.is_over = False
        self._fd = os.dup(connection.fileno(conn))  # the original may be closed, and given out again
        self._timer = threading.Timer(seconds, self._hang_up)
        self._timer.daemon = True

    def __enter__(self) -> _Limit:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        os.close(self._fd)

    def _hang_up(self) -> None:
        self.is_over = True
        with socket.socket(fileno=os.dup(self._fd)) as line:
            line.shutdown(socket.SHUT_RDWR)


def takes_writes(conn: connection) -> bool:
    """Ask an idle connection whether its server takes writes; costs one round trip."""
    base: Any = connection
    try:
        with base.cursor(conn) as cursor:
            cursor.execute("SHOW transaction_read_only")
            is_writable = bool(cursor.fetchone()[0] == "off")
        base.rollback(conn)
    except psycopg2.Error:
        return False
    return is_writable
