"""The answers of one request's SELECTs, and when they may be given again.

Nothing is answered from here while a connection that wrote is in its transaction: what is read then may be
undone, and what others read may change with its commit. Everything is forgotten at any write.
Must not import Flask or the pool, nor send anything. If this is wrong, an old answer is given for a new one.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from psycopg2.extensions import (
    ISOLATION_LEVEL_READ_COMMITTED,
    ISOLATION_LEVEL_READ_UNCOMMITTED,
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INTRANS,
)

from .statements import may_change_session

SIZE = 100  # answers
MOST_ROWS = 1000  # of one answer
LONGEST = 100_000  # bytes of a statement with its values
# Above these a transaction reads from one snapshot, and the server has to see each of its reads.
_SHARED_SNAPSHOTS = (None, ISOLATION_LEVEL_READ_COMMITTED, ISOLATION_LEVEL_READ_UNCOMMITTED)


class Answer:
    """A result as the driver gave it: its rows are copied whenever they are handed out."""

    __slots__ = ("alive", "description", "query", "rowcount", "rows", "statusmessage")

    def __init__(self, cursor: Any, rows: list[Any], alive: Any) -> None:
        self.rows = rows
        self.description = cursor.description
        self.rowcount = cursor.rowcount
        self.statusmessage = cursor.statusmessage
        self.query = cursor.query
        self.alive = alive  # types that the key names by their id, which must not become another's

    @classmethod
    def made(cls, description: Any, rows: list[Any], query: bytes, alive: Any) -> Answer:
        """Return a result that came with others, as it would have come alone."""
        answer = cls.__new__(cls)
        answer.rows, answer.description, answer.query, answer.alive = rows, description, query, alive
        answer.rowcount, answer.statusmessage = len(rows), f"SELECT {len(rows)}"
        return answer


class QueryStore:
    """The answers of one `with query_cache():`.

    Attributes:
        hits: answers that were given again.
        misses: SELECTs that were sent and kept.
        writes: how often everything was forgotten.
        functions: the application's own functions that only read.
        keeps: whether every SELECT is kept, or only what a loop has announced.
        ahead: the loops at work that have announced what they will ask, the outermost first.
    """

    def __init__(self, size: int, most_rows: int, functions: frozenset[str], *, keeps: bool = True) -> None:
        self.size, self.most_rows, self.functions, self.keeps = size, most_rows, functions, keeps
        self.ahead: list[Any] = []
        self.hits = self.misses = self.writes = 0
        self.generation = 0
        self._thread = threading.get_ident()
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()
        self._writers: list[tuple[weakref.ref[Any], int]] = []
        self._sessions_differ = False
        self._trusted: dict[Hashable, bool] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: Hashable) -> Answer | None:
        """Return an answer, and remember that it was used."""
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
            self.hits += 1
        return answer

    def find_ahead(self, cursor: Any, key: Hashable, bound: bytes) -> Answer | None:
        """Return the answer to what a loop has announced, asking for all of it at the first one's turn."""
        for window in reversed(self.ahead):
            answer: Answer | None = window.answer(cursor, key, bound)
            if answer is not None:
                self.hits += 1
                return answer
        return None

    def keep(self, key: Hashable, answer: Answer, generation: int) -> None:
        """Keep an answer, unless something was written since `generation`."""
        if generation != self.generation:
            return
        self.misses += 1
        self._answers[key] = answer
        while len(self._answers) > self.size:
            self._answers.popitem(last=False)

    def forget(self) -> None:
        """Forget all answers."""
        self.generation += 1
        self._answers.clear()
        for window in self.ahead:
            window.forget()

    def note_write(self, conn: Any, sql: str) -> None:
        """Forget all answers; give none again until this connection's transaction has ended."""
        self.writes += 1
        self._sessions_differ |= may_change_session(sql)
        self._writers.append((weakref.ref(conn), lease_of(conn)))
        self.forget()

    def origin(self, conn: Any) -> Hashable:
        """Return what connections must have in common to share answers.

        Leases of one pool do where `close()` gives back: a helper gets another lease than the one before it,
        and each begins as the pool hands it out. Once the request has changed a session, each is for itself,
        as all other connections are from the start.
        """
        give_back = getattr(getattr(conn, "_record", None), "give_back", None)  # a method of its pool
        if self._sessions_differ or give_back is None:
            return weakref.ref(conn), lease_of(conn)
        return str(conn.dsn), give_back

    def may_answer(self, cursor: Any) -> bool:
        """Tell whether a SELECT of this cursor may be answered from here, or kept."""
        conn = cursor.connection
        return (
            self._thread == threading.get_ident()
            and cursor.name is None
            and not cursor.closed
            and not conn.async_
            and conn.get_transaction_status() in (TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS)
            and conn.isolation_level in _SHARED_SNAPSHOTS
            and self._is_settled()
            and self._is_trusted(conn, type(cursor))
        )

    def _is_settled(self) -> bool:
        """Tell whether no connection that wrote is still in its transaction."""
        self._writers = [writer for writer in self._writers if _is_writing(*writer)]
        return not self._writers

    def _is_trusted(self, conn: Any, kind: type) -> bool:
        """Tell whether all cursors of a lease are seen: one from before the cache could write unnoticed."""
        key = weakref.ref(conn), lease_of(conn)
        trusted = self._trusted.get(key)
        if trusted is None:
            cursors = getattr(getattr(conn, "_record", None), "cursors", ())
            made = [cursor for ref in list(cursors) if (cursor := ref()) is not None]
            trusted = self._trusted[key] = all(hasattr(cursor, "_cache_answer") for cursor in made)
        return trusted


def lease_of(conn: Any) -> int:
    """Return the number of a pooled connection's lease; 0 of any other connection."""
    return int(getattr(conn, "lease_number", 0))


def _is_writing(ref: weakref.ref[Any], lease: int) -> bool:
    conn = ref()
    if conn is None or conn.closed or lease_of(conn) != lease:
        return False
    return bool(conn.get_transaction_status() != TRANSACTION_STATUS_IDLE)
