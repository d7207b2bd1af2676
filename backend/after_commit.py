"""`after_commit(conn, function)`: what may only happen once a change is in the database, and never on a rollback.

    with transaction() as conn:
        conn.cursor().execute("UPDATE customers SET name = %s WHERE id = %s", (name, 7))
        after_commit(conn, send_mail)           # runs when the block has committed, in this thread

The pool's connections tell this module of `commit()`, `rollback()`, the end of a `with` block and of the lease. A
`COMMIT` that is sent as SQL text is not seen; a function that says `in_doubt=True` is then run all the same when
the lease ends, as after a commit whose answer was lost with its connection.
Knows nothing of pools; a lease is anything with `_record` and `lease_number`. If this is wrong, a cache forgets a
value before the new one can be read, or never.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INERROR, TRANSACTION_STATUS_UNKNOWN
from psycopg2.extensions import connection as _driver

log = logging.getLogger(__name__)
_status: Any = _driver.get_transaction_status


class Promise:
    """A function that waits for the end of a transaction."""

    __slots__ = ("_is_settled", "_number", "_record", "function", "in_doubt")

    def __init__(self, record: Any, function: Callable[[], object], *, in_doubt: bool) -> None:
        self.function, self.in_doubt = function, in_doubt
        self._record = weakref.ref(record)
        self._number = record.number
        self._is_settled = False

    def is_open(self) -> bool:
        """Tell whether the transaction is still under way, on a lease that still is."""
        record = self._record()
        return not self._is_settled and record is not None and record.leased and record.number == self._number

    def settle(self, *, run: bool) -> None:
        """Run the function, or let it go; what it raises is logged, because the commit has happened."""
        self._is_settled = True
        if not run:
            return
        try:
            self.function()
        except Exception:
            log.exception("a function that waited for a commit failed; the transaction is committed")


def after_commit(conn: Any, function: Callable[[], object], *, in_doubt: bool = False) -> Promise | None:
    """Run a function once the connection's transaction is committed; on a rollback it is never run.

    In autocommit, outside a transaction, it is run at once. A transaction that nothing was sent in yet counts as
    begun. What was said inside a nested `transaction()` goes with its rollback; a SAVEPOINT of the app's own takes
    nothing back.

    Args:
        conn: a connection of the pool; None runs the function at once.
        function: called without arguments, in the thread that commits, before `commit()` returns. What it raises
            is logged, and goes no further.
        in_doubt: also run it where nobody can tell whether the commit happened.

    Returns:
        What waits, with `is_open()`; None when the function was run at once.

    Raises:
        TypeError: conn is none of the pool's, or was given back: nothing would tell of its commit.
    """
    if conn is None:
        function()
        return None
    record = getattr(conn, "_record", None)
    if record is None or not conn.lease_number:
        raise TypeError(
            f"after_commit needs a connection that is leased from the pool, not a {type(conn).__name__} that is "
            "none or was given back; commit, then call the function, or pass None"
        )
    if conn.autocommit and _status(conn) == TRANSACTION_STATUS_IDLE:
        function()
        return None
    promise = Promise(record, function, in_doubt=in_doubt)
    record.promised = [*(record.promised or ()), promise]
    record.touched = True
    return promise


def commit_and_run(conn: Any, record: Any, go: Callable[[], None]) -> None:
    """Commit by `go`, then run what waited for it; a commit that failed lets it go."""
    is_aborted = _status(conn) == TRANSACTION_STATUS_INERROR  # the server answers COMMIT with a rollback
    try:
        go()
    except BaseException as error:
        is_refused = isinstance(error, psycopg2.Error) and not _driver.closed.__get__(conn)
        _settle(record, lambda promise: promise.in_doubt and not is_refused)
        raise
    if _status(conn) == TRANSACTION_STATUS_IDLE:  # else nothing was ended: begun by hand, in autocommit
        _settle(record, lambda _: not is_aborted)


def rollback_and_drop(conn: Any, record: Any, go: Callable[[], None]) -> None:
    """Roll back by `go` and let go of what waited; where there was nothing to roll back, nobody can tell."""
    was_idle = _status(conn) == TRANSACTION_STATUS_IDLE
    try:
        go()
    finally:
        if _status(conn) in (TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_UNKNOWN):
            _settle(record, lambda promise: was_idle and promise.in_doubt)


@contextmanager
def until_savepoint(conn: Any) -> Iterator[None]:
    """Let go of what the block has said, when the block fails: its savepoint is rolled back."""
    record = conn._record
    before = record.promised
    try:
        yield
    except BaseException:
        kept = {id(promise) for promise in before or ()}
        for promise in record.promised or ():
            if id(promise) not in kept:
                promise.settle(run=False)
        record.promised = [promise for promise in record.promised or () if id(promise) in kept] or None
        raise


def end_of_lease(conn: Any, record: Any) -> None:
    """Settle what is left when a lease ends: an open transaction is about to be rolled back."""
    is_over = _status(conn) in (TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_UNKNOWN)
    missed = [promise for promise in record.promised if is_over and not promise.in_doubt]
    _settle(record, lambda promise: is_over and promise.in_doubt)
    if missed:
        log.warning(
            "%d function(s) waited for a commit that never came, and were not run: call after_commit before "
            "conn.commit(), and commit by the connection, not by SQL text", len(missed),
        )  # fmt: skip


def _settle(record: Any, is_run: Callable[[Promise], bool]) -> None:
    promised, record.promised = record.promised or (), None
    for promise in promised:
        promise.settle(run=is_run(promise))
