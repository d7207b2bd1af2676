"""What a loop has announced to ask, and the asking of all of it at the first one's turn.

Works on the cursor that asks: its connection, its transaction, its kind of rows. A failure is never the app's:
what the many began is undone, the announcement is dropped, and the one statement is sent as it was written.
Must not import Flask or the pool. If this is wrong, a row is answered with another row's answer.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS, connection
from psycopg2.extensions import cursor as plain_cursor
from psycopg2.extras import DictRow, NamedTupleCursor, RealDictRow

from . import scope
from .ahead_sql import lateral, united
from .cached_cursor import at_work
from .query_store import Answer, lease_of
from .read_only import TODAY, effect

MOST_BYTES = 1_000_000  # of a statement for many
MARK = "harden_ahead"  # a savepoint
_driver: Any = connection


class Announced:
    """A statement that a loop's body runs for each row."""

    def __init__(self, sql: Any, values_of: Callable[[Any], Any]) -> None:
        self.sql, self.values_of = sql, values_of
        self.is_off = False

    def bound(self, cursor: Any, rows: Sequence[Any]) -> dict[bytes, Any]:
        """Return the values of each row by the statement that they make; each statement once, in order."""
        found: dict[bytes, Any] = {}
        for row in rows:
            try:
                values = self.values_of(row)
                if isinstance(values, (tuple, list, Mapping)):
                    found.setdefault(cursor.mogrify(self.sql, values), values)
            except Exception:  # the body will say what is wrong with this row
                continue
        return found

    def text(self, cursor: Any) -> str:
        """Return the SQL as text, with its placeholders."""
        return self.sql if isinstance(self.sql, str) else str(self.sql.as_string(cursor))


class _Asker:
    """The lease that asked for many, and whether others see the same: not while it may have written something."""

    def __init__(self, conn: Any) -> None:
        self._conn, self._lease = weakref.ref(conn), lease_of(conn)
        self._is_alone = conn.get_transaction_status() != TRANSACTION_STATUS_IDLE

    def may_share(self, conn: Any) -> bool:
        """Tell whether a connection would get these answers itself."""
        if self._conn() is conn and self._lease == lease_of(conn):
            return True
        return not self._is_alone and bool(conn.get_transaction_status() == TRANSACTION_STATUS_IDLE)


class Window:
    """The rows whose statements a loop may ask next.

    Attributes:
        was_asked: whether any announced statement was run at all.
    """

    def __init__(self, announced: Sequence[Announced], current: scope.Scope | None) -> None:
        self.was_asked = False
        self._announced = announced
        self._scope = current  # a loop that its request has left must not answer the next one's
        self._rows: Callable[[], list[Any]] = list
        self._count = 0  # of them
        self._pending: dict[int, dict[bytes, Any]] = {}
        self._answers: dict[Any, tuple[Answer, _Asker]] = {}

    def look(self, rows: Callable[[], list[Any]]) -> None:
        """Move on to further rows; what is known of those before is dropped."""
        self._rows = rows
        self._pending.clear()
        self._answers.clear()

    def forget(self) -> None:
        """Drop the answers: something was written."""
        self._answers.clear()

    def answer(self, cursor: Any, key: Any, bound: bytes) -> Answer | None:
        """Return the answer to a bound statement, having asked for all that were announced with it.

        Args:
            key: of the cursor and the statement, as the query cache has it; its second part is the statement.
        """
        if self._scope is not scope.current():
            return None
        known = self._answers.get(key)
        if known is not None:
            return known[0] if known[1].may_share(cursor.connection) else None
        for place, announced in enumerate(self._announced):
            if announced.is_off:
                continue
            if place not in self._pending:
                rows = self._rows()
                self._count = len(rows)
                self._pending[place] = announced.bound(cursor, rows)
            pending = self._pending[place]
            if bound in pending:
                self.was_asked = True
                return self._asked(cursor, key, bound, announced, pending)
        return None

    def _asked(
        self, cursor: Any, key: Any, bound: bytes, announced: Announced, pending: dict[bytes, Any]
    ) -> Answer | None:
        """Ask for a statement and all that are pending beside it."""
        many = _affordable(pending, bound)
        for each in many:
            del pending[each]  # asked once; after a write, each is sent by itself
        if self._count < 2 or not _may_ask(cursor, announced):
            return None
        asker = _Asker(cursor.connection)
        rows = _sent(cursor, announced, many)
        if rows is None:
            announced.is_off = True
            return None
        description, answers = rows
        for each, its in zip(many, answers):  # noqa: B905 -- of one length
            made = _as_app(cursor, description, its)
            self._answers[(key[0], each, *key[2:])] = Answer.made(description, made, each, key), asker
        answer: Answer = self._answers[key][0]
        return answer


def _affordable(pending: Mapping[bytes, Any], bound: bytes) -> dict[bytes, Any]:
    """Return the statement that is wanted, and the others as far as they make no monster together."""
    found = {bound: pending[bound]}
    size = len(bound)
    for each, values in pending.items():
        size += len(each)
        if size > MOST_BYTES:
            break
        found[each] = values
    return {each: found[each] for each in pending if each in found}


def _may_ask(cursor: Any, announced: Announced) -> bool:
    """Tell whether a statement only reads, and whether this cursor's rows can be made here."""
    factory = getattr(cursor, "row_factory", None)
    is_known = factory is None or factory is DictRow or factory is RealDictRow
    return is_known and effect(announced.text(cursor)) == "read"


def _sent(cursor: Any, announced: Announced, many: Mapping[bytes, Any]) -> tuple[Any, list[list[Any]]] | None:
    """Send one statement for all; returns the columns and each one's rows, or None when the server refuses it."""
    conn = cursor.connection
    sender = conn.cursor(cursor_factory=plain_cursor)
    try:
        for kinds in ("string_types", "binary_types"):
            if getattr(cursor, kinds) is not None:
                setattr(sender, kinds, getattr(cursor, kinds))
        sender.tzinfo_factory = cursor.tzinfo_factory
        try:
            sql = _statement(sender, announced, many)
        except Exception:
            return None  # values that cannot be put together: each is sent as the app writes it
        return _answers(sender, sql, len(many))
    finally:
        if not sender.closed:
            sender.close()


def _statement(sender: Any, announced: Announced, many: Mapping[bytes, Any]) -> bytes:
    values = list(many.values())
    if any(TODAY.search(each) for each in many):
        return b""
    sql = lateral(sender, announced.text(sender), values) if len(set(map(_form, values))) == 1 else None
    if sql is not None:
        return sql
    encoding = psycopg2.extensions.encodings[sender.connection.encoding]
    return united([each.decode(encoding) for each in many]).encode(encoding)


def _form(values: Any) -> Any:
    """Return what rows must have in common to be put into one array: their kind, and their names or number."""
    return (Mapping, *sorted(map(str, values))) if isinstance(values, Mapping) else (tuple, len(values))


def _answers(sender: Any, sql: bytes, count: int) -> tuple[Any, list[list[Any]]] | None:
    if not sql:
        return None
    conn = sender.connection
    status = conn.get_transaction_status()
    is_inside = status == TRANSACTION_STATUS_INTRANS
    token = at_work.set(None)  # to the query cache a savepoint is a write
    try:
        sender.execute(f"SAVEPOINT {MARK}; ".encode() + sql if is_inside else sql)
        rows = sender.fetchall()
        found_columns = sender.description[:-2]
        if is_inside:
            plain_cursor.execute(sender, f"RELEASE SAVEPOINT {MARK}")  # or a long transaction would stack them
    except psycopg2.Error:
        _undo(conn, is_inside, was_idle=status == TRANSACTION_STATUS_IDLE)
        return None
    finally:
        at_work.reset(token)
    found: list[list[Any]] = [[] for _ in range(count)]
    for *values, number, _ in rows:
        found[number - 1].append(tuple(values))
    return found_columns, found


def _undo(conn: Any, is_inside: bool, *, was_idle: bool) -> None:
    """Undo what a failed statement left: the app's transaction goes on as if it had not been sent."""
    if conn.closed:
        return
    if is_inside:
        with conn.cursor(cursor_factory=plain_cursor) as cursor:
            plain_cursor.execute(cursor, f"ROLLBACK TO SAVEPOINT {MARK}")
            plain_cursor.execute(cursor, f"RELEASE SAVEPOINT {MARK}")
    elif was_idle and conn.get_transaction_status() != TRANSACTION_STATUS_IDLE:
        _driver.rollback(conn)


def _as_app(cursor: Any, description: Any, rows: list[Any]) -> list[Any]:
    """Return rows as the app's cursor makes them."""
    names = [column[0] for column in description]
    factory = getattr(cursor, "row_factory", None)
    if factory is RealDictRow:
        return [RealDictRow(zip(names, row)) for row in rows]  # noqa: B905 -- of one length
    if factory is DictRow:
        index = OrderedDict((name, place) for place, name in enumerate(names))
        return [_dict_row(index, row) for row in rows]
    if isinstance(cursor, NamedTupleCursor):
        kind: Any = type(cursor)._cached_make_nt(tuple(names))  # type: ignore[attr-defined]
        return [kind._make(row) for row in rows]
    return rows


def _dict_row(index: OrderedDict[str, int], row: tuple[Any, ...]) -> Any:
    made: Any = DictRow.__new__(DictRow)  # its __init__ wants a cursor
    made._index = index
    made.extend(row)
    return made
