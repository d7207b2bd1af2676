"""What a lease leaves behind, undone: exactly as much as the mode promises.

* `rollback`: for code of one's own. Ends the transaction (also one begun by hand in autocommit, where
  `conn.rollback()` does nothing) and restores what the lease set on the object: autocommit, isolation level,
  readonly, deferrable, encoding, cursor factory, type maps, notices, notifies, instance attributes. No round
  trip when no transaction is open.
* `reset`: the drop-in's. All that, and `conn.reset()`: DISCARD ALL for settings, roles, temporary tables,
  prepared statements, advisory locks and LISTEN. One round trip, none for a lease that sent nothing. After a
  call of a function of ours its plan stays (discard.py).
* `watch`: as `reset`, but the round trip is left out after statements that by their text cannot change the
  session (see statements.py for what that takes on trust).
* `pgbouncer`: for transaction pooling. As `rollback`; session state is not this connection's to clear.

Knows nothing of pools. If this is wrong, one user's session state reaches the next user.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import (
    STATUS_PREPARED,
    STATUS_READY,
    TRANSACTION_STATUS_ACTIVE,
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_UNKNOWN,
    connection,
)

from .connection import close_cursors
from .discard import discard_but_plans
from .record import Record

MODES = ("rollback", "reset", "watch", "pgbouncer")
# The order matters: with autocommit on, psycopg2 has told the server of the first three, and takes them
# back there only while autocommit is still on.
ATTRIBUTES = ("isolation_level", "readonly", "deferrable", "autocommit", "cursor_factory")
_driver: Any = connection
_DESCRIPTORS = tuple(getattr(connection, name) for name in ATTRIBUTES)
_status = _driver.get_transaction_status


class Baseline(NamedTuple):
    """How a connection was when it was opened."""

    attributes: tuple[Any, ...]
    encoding: str
    string_types: dict[int, Any]
    binary_types: dict[int, Any]
    notices: Any
    notifies: Any
    names: frozenset[str]

    @property
    def autocommit(self) -> bool:
        """Whether it was opened in autocommit."""
        return bool(self.attributes[ATTRIBUTES.index("autocommit")])


def baseline(conn: Any) -> Baseline:
    """Return what a later `clean` restores; taken before the first lease."""
    names = frozenset((*vars(conn), "_record"))
    attributes = tuple(each.__get__(conn) for each in _DESCRIPTORS)
    types = dict(conn.string_types), dict(conn.binary_types)
    return Baseline(attributes, conn.encoding, *types, conn.notices, conn.notifies, names)


def is_pristine(conn: Any, record: Record) -> bool:
    """Tell whether a lease that sent nothing changed nothing on the object either, and nobody was told of it."""
    before = record.baseline
    return not (
        conn.notices
        or conn.notifies
        or record.leak_reported
        or record.stall_reported
        or ((conn.string_types or before.string_types) and _differ(conn.string_types, before.string_types))
        or ((conn.binary_types or before.binary_types) and _differ(conn.binary_types, before.binary_types))
        or len(conn.__dict__) != len(before.names)
    )


def left_nothing(conn: Any, record: Record) -> bool:
    """Tell whether a lease that sent something left neither a transaction nor a change on the object.

    As nearly every lease of a read in autocommit, and every one that was committed. For the modes that do not
    clear the session.
    """
    return (
        not record.altered
        and conn.status == STATUS_READY
        and _status(conn) == TRANSACTION_STATUS_IDLE
        and is_pristine(conn, record)
    )


def clean(conn: Any, record: Record, mode: str) -> bool:
    """Bring a returned connection back to how it was handed out.

    Returns:
        False when that cannot be done and the connection must be closed: the server is gone, a query or a
        COPY is under way, a two-phase transaction is prepared.

    Raises:
        Exception: whatever the rollback raised; the connection must be closed then as well.
    """
    status = _status(conn)
    if status != TRANSACTION_STATUS_IDLE:
        if status in (TRANSACTION_STATUS_ACTIVE, TRANSACTION_STATUS_UNKNOWN) or conn.status == STATUS_PREPARED:
            return False
        _end_transaction(conn)
    if conn.status == STATUS_PREPARED:
        return False
    # Without a cursor of ours and without a transaction nothing was sent, not even by a cursor made by hand.
    is_sent = record.touched or status != TRANSACTION_STATUS_IDLE
    is_seen = bool(record.cursors)  # otherwise it was sent by such a cursor, or by none
    close_cursors(record)
    if record.altered:
        _restore_attributes(conn, record.baseline)
    is_clean = mode == "watch" and is_seen and not record.watch.is_dirty
    if mode in ("reset", "watch") and is_sent and not is_clean:
        if not (record.called and discard_but_plans(conn)):
            _driver.reset(conn)
        _restore_attributes(conn, record.baseline)
        if record.watch is not None:
            record.watch.is_dirty = False
    record.touched = record.altered = record.called = False
    _restore_objects(conn, record.baseline)
    return bool(_status(conn) == TRANSACTION_STATUS_IDLE)


def rollback_quietly(conn: connection) -> None:
    """Roll back after an error; that error matters more than this one, and a broken connection is found later."""
    try:
        conn.rollback()
    except psycopg2.Error:
        pass


def _end_transaction(conn: connection) -> None:
    if not conn.autocommit:
        _driver.rollback(conn)
        return
    with _driver.cursor(conn) as cursor:  # begun by hand: conn.rollback() is a no-op in autocommit
        cursor.execute("ROLLBACK")


def _restore_attributes(conn: connection, before: Baseline) -> None:
    for attribute, value in zip(_DESCRIPTORS, before.attributes):  # noqa: B905 -- of one length
        if attribute.__get__(conn) != value:
            attribute.__set__(conn, value)
    if conn.encoding != before.encoding:
        _driver.set_client_encoding(conn, before.encoding)


def _restore_objects(conn: Any, before: Baseline) -> None:
    """Undo what costs no round trip, and what no method call of the connection shows."""
    if conn.notices or conn.notices is not before.notices:
        _driver.notices.__set__(conn, _emptied(before.notices))
    if conn.notifies or conn.notifies is not before.notifies:
        _driver.notifies.__set__(conn, _emptied(before.notifies))
    if _differ(conn.string_types, before.string_types):
        _refill(conn.string_types, before.string_types)
    if _differ(conn.binary_types, before.binary_types):
        _refill(conn.binary_types, before.binary_types)
    for name in conn.__dict__.keys() - before.names:
        del conn.__dict__[name]


def _differ(types: dict[int, Any], before: dict[int, Any]) -> bool:
    if not types and not before:
        return False
    # By identity: to psycopg2 any two types of the same OIDs are equal.
    return len(types) != len(before) or any(types.get(oid) is not kind for oid, kind in before.items())


def _emptied(original: list[Any]) -> list[Any]:
    original.clear()  # the very list of before; what the user put in its place is the user's
    return original


def _refill(types: dict[int, Any], before: dict[int, Any]) -> None:
    types.clear()
    types.update(before)
