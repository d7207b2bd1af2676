"""What a lease leaves behind, undone: exactly as much as the mode promises.

* `rollback`: for code of one's own. Ends the transaction (also one begun by hand in autocommit, where
  `conn.rollback()` does nothing) and restores autocommit, isolation level, readonly, deferrable and the
  cursor factory. No round trip when nothing was changed.
* `reset`: the drop-in's. All that, and `conn.reset()`: DISCARD ALL for settings, roles, temporary tables,
  prepared statements, advisory locks and LISTEN. One round trip.
* `pgbouncer`: for transaction pooling. As `rollback`; session state is not this connection's to clear.

Knows nothing of pools. If this is wrong, one user's session state reaches the next user.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2.extensions import (
    STATUS_PREPARED,
    TRANSACTION_STATUS_ACTIVE,
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_UNKNOWN,
    connection,
)

MODES = ("rollback", "reset", "pgbouncer")
# The order matters: with autocommit on, psycopg2 has told the server of the first three, and takes them
# back there only while autocommit is still on.
ATTRIBUTES = ("isolation_level", "readonly", "deferrable", "autocommit", "cursor_factory")


def baseline(conn: connection) -> tuple[Any, ...]:
    """Return the attributes that a later `clean` restores."""
    return (
        *(getattr(connection, name).__get__(conn) for name in ATTRIBUTES),
        dict(conn.string_types),
        dict(conn.binary_types),
    )


def clean(conn: connection, before: tuple[Any, ...], mode: str) -> bool:
    """Bring a returned connection back to how it was handed out.

    Returns:
        False when that cannot be done and the connection must be closed: the server is gone, a query or a
        COPY is under way, a two-phase transaction is prepared.

    Raises:
        Exception: whatever the rollback raised; the connection must be closed then as well.
    """
    base: Any = connection
    status = conn.info.transaction_status
    if status in (TRANSACTION_STATUS_ACTIVE, TRANSACTION_STATUS_UNKNOWN) or conn.status == STATUS_PREPARED:
        return False
    if status != TRANSACTION_STATUS_IDLE:
        _end_transaction(conn)
    _restore(conn, before)
    if mode == "reset":
        base.reset(conn)
        _restore(conn, before)
    conn.notices = []
    conn.notifies = []
    return bool(conn.info.transaction_status == TRANSACTION_STATUS_IDLE)


def rollback_quietly(conn: connection) -> None:
    """Roll back after an error; that error matters more than this one, and a broken connection is found later."""
    try:
        conn.rollback()
    except psycopg2.Error:
        pass


def _end_transaction(conn: connection) -> None:
    base: Any = connection
    if not conn.autocommit:
        base.rollback(conn)
        return
    with base.cursor(conn) as cursor:  # begun by hand: conn.rollback() is a no-op in autocommit
        cursor.execute("ROLLBACK")


def _restore(conn: connection, before: tuple[Any, ...]) -> None:
    for name, value in zip(ATTRIBUTES, before):  # noqa: B905 -- two more entries follow in `before`
        attribute = getattr(connection, name)  # psycopg2's own: a lease guards its
        if attribute.__get__(conn) != value:
            attribute.__set__(conn, value)
    for types, original in ((conn.string_types, before[-2]), (conn.binary_types, before[-1])):
        if types != original:
            types.clear()
            types.update(original)
