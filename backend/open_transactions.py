"""The transactions that this thread has open on connections of the pools, and what they mean to a cache.

What a transaction has written and not committed is nobody else's to see, and may be rolled back; what it reads
under REPEATABLE READ is as old as its first statement. Neither may be kept for others. Knows pools only by
`held()`. If this is wrong, a change that never happened is served to everybody.
"""

from __future__ import annotations

import threading
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS, connection, cursor

from . import fork

IS_PRIVATE = """SELECT txid_current_if_assigned() IS NOT NULL
    OR current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted')"""
_status: Any = connection.get_transaction_status


def open_here() -> list[Any]:
    """Return the leases of this thread that are in a transaction."""
    me = threading.get_ident()
    found = []
    for pool in fork.protected():
        for record in pool.held() if hasattr(pool, "held") else ():
            conn = record.connection() if record.thread == me else None
            if conn is not None and not conn.closed and _status(conn) != TRANSACTION_STATUS_IDLE:
                found.append(conn)
    return found


def is_private() -> bool:
    """Tell whether what this thread reads now may be its own alone: uncommitted, or of an old snapshot.

    Costs a round trip for each transaction that is open, none where there is none.
    """
    return any(_is_private(conn) for conn in open_here())


def _is_private(conn: Any) -> bool:
    if _status(conn) != TRANSACTION_STATUS_INTRANS:
        return True  # failed, or busy: nobody can tell
    try:
        with cursor(conn) as asking:  # psycopg2's own: no query of the app's, for those who count these
            asking.execute(IS_PRIVATE)
            row = asking.fetchone()
    except psycopg2.Error:
        return True
    return bool(row and row[0])
