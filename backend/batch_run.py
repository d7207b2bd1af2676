"""Runs the parts of a dashboard on one lease, the nested queries among them as one statement.

Two roads. Where all parts are nested queries, they are columns of one SELECT, sent in one text with its limits:
a text of several statements is one transaction for PostgreSQL, so SET LOCAL and SET TRANSACTION hold, it is one
round trip, and PgBouncer's transaction mode keeps it together. Else, or when that fails, one transaction in which
each part stands in a savepoint that is always rolled back: a part that fails takes nothing with it, limits end
with their part, and nothing is ever written.
Must not import Flask. If this is wrong, one broken part empties the dashboard.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from .database_helper import get_db_connection, transaction
from .errors import BatchError
from .keepable import OCCURRENCE
from .nested import Node, check_parameters
from .prepared import first_row

SAVEPOINT = "harden_part"
NOTHING = "there is nothing of that kind"
LATE = "the time of this request was used up"


@dataclass(frozen=True)
class Outcome:
    """What became of a part.

    Attributes:
        status: as of HTTP, 200 when there is a body.
        body: JSON text in UTF-8.
        error: one sentence for the client.
        code: the error's code, as H341, or empty.
    """

    status: int
    body: bytes | None = None
    error: str = ""
    code: str = ""

    def json(self) -> bytes:
        """Return the object that stands for the part in the answer."""
        if self.body is not None:
            return b'{"status":%d,"data":%s}' % (self.status, self.body)
        said = {"status": self.status, "error": self.error, **({"code": self.code} if self.code else {})}
        return json.dumps(said).encode()


@dataclass(frozen=True)
class Task:
    """A part with the values of its parameters; `source` as in `Part`."""

    source: Any
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class How:
    """How the tasks of one request are run.

    Attributes:
        timeout: seconds for all of them.
        snapshot: whether all see the same moment of the database.
        explained: what a client is told of an error.
        written: makes JSON of what a function returned.
    """

    timeout: float
    snapshot: bool
    explained: Callable[[BaseException], Outcome]
    written: Callable[[Any], bytes]


def outcomes(tasks: Sequence[Task], how: How) -> list[Outcome]:
    """Run all tasks; returns what became of each, in their order.

    Raises:
        PoolTimeout: no connection was free in time.
        BatchError: a snapshot is asked for in a transaction that has begun already.
    """
    if not tasks:
        return []
    run = _Run(how)
    found: list[Outcome] | None = None
    try:
        with get_db_connection(autocommit=True) as conn:
            if conn.autocommit and all(isinstance(task.source, Node) for task in tasks):
                found = run.at_once(conn, tasks)
            if found is None:
                with transaction() as conn:
                    found = run.in_turn(conn, tasks)
    except psycopg2.Error:
        if found is None:
            raise
        # The connection was lost, each part says so that it hit; there was nothing to commit.
    return found


class _Run:
    def __init__(self, how: How) -> None:
        self._how = how
        self._end = time.monotonic() + how.timeout
        self._has_failed_joined = False

    def at_once(self, conn: Any, tasks: Sequence[Task]) -> list[Outcome] | None:
        """Run nested queries as one text; None when one of them failed, and it is not known which."""
        try:
            sql, parameters = joined(tasks)
            level = "ISOLATION LEVEL REPEATABLE READ, " if self._how.snapshot else ""
            limits = f"SET TRANSACTION {level}READ ONLY; SET LOCAL statement_timeout = {self._left()}; "
            return _told(first_row(conn, limits + sql, parameters))
        except Exception as error:
            return self._all_failed(conn, tasks, error)

    def in_turn(self, conn: Any, tasks: Sequence[Task]) -> list[Outcome]:
        """Run nested queries as one statement, and then each of the others."""
        if self._how.snapshot:
            _begin_snapshot(conn)
        found: dict[int, Outcome] = {}
        nodes = [place for place, task in enumerate(tasks) if isinstance(task.source, Node)]
        if nodes and not self._has_failed_joined:
            together = self._joined_in_savepoint(conn, [tasks[place] for place in nodes])
            found.update(zip(nodes, together or (), strict=False))
        return [found.get(place) or self._single(conn, task) for place, task in enumerate(tasks)]

    def _joined_in_savepoint(self, conn: Any, tasks: Sequence[Task]) -> list[Outcome] | None:
        try:
            with self._savepoint(conn):
                return _told(first_row(conn, *joined(tasks)))
        except Exception as error:
            return self._all_failed(conn, tasks, error)

    def _single(self, conn: Any, task: Task) -> Outcome:
        try:
            with self._savepoint(conn):
                body = self._body(conn, task)
        except Exception as error:
            return self._how.explained(error)
        return Outcome(404, error=NOTHING) if body is None else Outcome(200, body)

    def _body(self, conn: Any, task: Task) -> bytes | None:
        if hasattr(task.source, "json"):
            body: bytes | None = task.source.json(conn, **task.parameters)
            return body
        value = task.source(conn, **task.parameters)
        return value if isinstance(value, bytes) else self._how.written(value)

    def _all_failed(self, conn: Any, tasks: Sequence[Task], error: Exception) -> list[Outcome] | None:
        """Return the same failure for all, where trying each by itself would not tell them apart."""
        self._has_failed_joined = True
        is_late = isinstance(error, (TimeoutError, psycopg2.errors.QueryCanceled))
        if len(tasks) > 1 and not conn.closed and not is_late:
            return None
        return [self._how.explained(error)] * len(tasks)

    @contextmanager
    def _savepoint(self, conn: Any) -> Iterator[None]:
        """Run a block that reads, within the time that is left, and undo it."""
        _execute(
            conn,
            f"SAVEPOINT {SAVEPOINT}; SET LOCAL transaction_read_only = on; "
            f"SET LOCAL statement_timeout = {self._left()}",
        )
        try:
            yield
        finally:
            if not conn.closed:
                _execute(conn, f"ROLLBACK TO SAVEPOINT {SAVEPOINT}; RELEASE SAVEPOINT {SAVEPOINT}")

    def _left(self) -> int:
        """Return the milliseconds that are left.

        Raises:
            TimeoutError: none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(LATE)
        return max(1, round(left * 1000))


def joined(tasks: Sequence[Task]) -> tuple[str, dict[str, Any]]:
    """Return one SELECT with a column of JSON for each nested query, and its parameters, each under its own name.

    Raises:
        NodeError: a task lacks a parameter, or has one that its SQL does not name.
    """
    columns, parameters = [], {}
    for place, task in enumerate(tasks):
        node: Node = task.source
        check_parameters(node, task.parameters)
        columns.append(f'({_one_row(_renamed(node.sql, place), node)}) AS "{place}"')
        parameters.update({f"p{place}_{name}": value for name, value in task.parameters.items()})
    return f"SELECT {', '.join(columns)}", parameters


def _renamed(sql: str, place: int) -> str:
    return OCCURRENCE.sub(lambda found: f"%(p{place}_{found[1]})s" if found[1] else "%%", sql)


def _one_row(sql: str, node: Node) -> str:
    """Return the SELECT of a document; as a column it may have no second row, which `one` leaves unread."""
    return sql if node.is_list else f"{sql} LIMIT 1"


def _told(row: Sequence[bytes | None] | None) -> list[Outcome]:
    return [Outcome(404, error=NOTHING) if body is None else Outcome(200, body) for body in row or ()]


def _begin_snapshot(conn: Any) -> None:
    if conn.info.transaction_status != TRANSACTION_STATUS_IDLE:
        raise BatchError(
            "a snapshot cannot begin in a transaction that has run statements; read what comes before the batch "
            "by get_db_connection(autocommit=True)"
        )
    _execute(conn, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _execute(conn: Any, sql: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute(sql)
