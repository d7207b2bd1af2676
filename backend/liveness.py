"""Is the server still there? Asked of the socket, without a round trip.

When PostgreSQL or PgBouncer closes a connection, the client's socket becomes readable. On an idle
connection that is all there is to see, so one poll(2) tells: 0.7 microseconds, against 50 or more for the
cheapest query. One `conn.poll()` is not enough: its first read takes the server's farewell message and
reports success, only a second one sees the end of the stream. So: readable means "ask by a real query".
A half-open connection (power cut, NAT) is invisible to this; `pre_ping_after` and TCP keepalives are for it.

Knows nothing of pools. If this is wrong, callers get connections to servers that are gone.
"""

from __future__ import annotations

import select
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection

READABLE = select.POLLIN | select.POLLPRI | select.POLLERR | select.POLLHUP | select.POLLNVAL


def watch(conn: connection) -> select.poll:
    """Return a poll object on the connection's socket, to be kept as long as the connection."""
    poller = select.poll()
    poller.register(conn.fileno(), READABLE)
    return poller


def is_quiet(poller: select.poll) -> bool:
    """Tell whether nothing has arrived on the idle socket: no farewell, no error, no notification."""
    return not poller.poll(0)


def answers(conn: connection) -> bool:
    """Tell whether the server answers a query; costs one round trip and leaves the session as it was."""
    base: Any = connection
    try:
        if base.closed.__get__(conn) or conn.info.transaction_status != TRANSACTION_STATUS_IDLE:
            return False
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
