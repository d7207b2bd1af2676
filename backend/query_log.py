"""The queries of one request, noted as cheaply as they can be.

A query of a statement and line that the request has run before costs a look into a dictionary and an append.
What is new, slow, failed or repeating takes the longer way, `note`: a line that repeats is looked at twice more,
for who called it and whether its values are always the same. However many queries there are, the log stays small.
Knows nothing of Flask. If this is wrong, a request's queries are miscounted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any

from psycopg2.sql import SQL, Composed, Identifier, Placeholder

from .callsite import app_stack, site_of_code
from .events import QueryGroup
from .fingerprint import LONGEST, Statement, statement_of

MOST_GROUPS = 500  # different statements and lines of one request; what comes after is one group
MOST_DURATIONS = 1000
REPEATED = 5  # from this run of a line on, its callers are looked at, ...
LOOKS = 2  # ... so often
OTHERS = "-- other statements"
_joining = threading.Lock()  # guards a block's groups: threads may end inner logs at once; nothing slow in there


class Group:
    """One statement from one line, so far.

    Attributes:
        durations: seconds of each run; the monitor appends to it.
        rows: of all runs.
        next_look: what comes after so many runs is looked at by `note`.
    """

    __slots__ = (
        "_past_count", "_past_seconds", "_past_slowest", "_seen", "code", "durations", "errors", "instruction",
        "is_same", "method", "next_look", "rows", "stack", "text",
    )  # fmt: skip

    def __init__(self, text: str | bytes, code: CodeType, instruction: int, method: str) -> None:
        self.text, self.code, self.instruction, self.method = text, code, instruction, method
        self.durations: list[float] = []
        self.rows = self.errors = 0
        self.next_look = REPEATED - 1
        self.stack: tuple[str, ...] = ()
        self.is_same: bool | None = None
        self._seen: int | None = None
        self._past_count, self._past_seconds, self._past_slowest = 0, 0.0, 0.0

    @property
    def count(self) -> int:
        """How often it ran."""
        return self._past_count + len(self.durations)

    @property
    def seconds(self) -> float:
        """Time spent in all runs."""
        return self._past_seconds + sum(self.durations)

    def look(self, frame: FrameType, values: Any) -> None:
        """Remember who called, and whether the values are the ones of last time; never the values themselves."""
        count = len(self.durations)
        if count > MOST_DURATIONS:
            self._sum_up()
            return
        if not self.stack:
            self.stack = app_stack(frame)
        seen = hash(repr(values)[:2000])
        if self._seen is not None:
            self.is_same = seen == self._seen and self.is_same is not False
        self._seen = seen
        self.next_look = count if count < REPEATED + LOOKS - 1 else MOST_DURATIONS

    def _sum_up(self) -> None:
        self._past_slowest = max(self._past_slowest, *self.durations)
        self._past_seconds += sum(self.durations)
        self._past_count += len(self.durations)
        self.durations.clear()

    def add(self, other: Group) -> None:
        """Add another one's runs."""
        if len(self.durations) + len(other.durations) > MOST_DURATIONS and self.durations:
            self._sum_up()
        self._past_count += other._past_count
        self._past_seconds += other._past_seconds
        self._past_slowest = max(self._past_slowest, other._past_slowest)
        self.durations += other.durations
        self.rows += other.rows
        self.errors += other.errors
        self.stack = self.stack or other.stack
        self.is_same = other.is_same if self.is_same is None else self.is_same and other.is_same

    def event(self, statement: Statement | None = None) -> QueryGroup:
        """Return what the listeners are told."""
        durations = self.durations
        count, seconds, slowest = len(durations), sum(durations), max(durations) if durations else 0.0
        if self._past_count:
            count, seconds = count + self._past_count, seconds + self._past_seconds
            slowest = max(slowest, self._past_slowest)
        return QueryGroup(
            statement or statement_of(self.text), site_of_code(self.code, self.instruction), count, seconds,
            slowest, tuple(durations), self.rows if self.rows > 0 else 0, self.errors, self.instruction < 0,
            self.stack, self.is_same, self.method,
        )  # fmt: skip


class QueryLog:
    """What a request, or a block, has asked the database.

    Attributes:
        kind: "request" or "block".
        method, route, request_id: what is known of the request; the route once Flask has found it.
        started: by `time.perf_counter`.
        find: finds a group by statement, `id` of its code and instruction.
        outer: the log of the block around it, which gets all this one has.
        tag: the comment its statements carry; None when it was not made yet.
        function: the endpoint; "" until Flask has found it.
        traceparent: the header that a tracing front sent; "" for none.
    """

    __slots__ = (
        "_groups", "_lines", "_lost", "find", "function", "is_over", "kind", "method", "outer", "request_id",
        "route", "started", "tag", "traceparent",
    )  # fmt: skip

    def __init__(self, kind: str = "request", method: str = "", route: str = "", request_id: str = "") -> None:
        self.kind, self.method, self.route, self.request_id = kind, method, route, request_id
        self.started = time.perf_counter()
        self.outer: QueryLog | None = None
        self.tag: str | None = None
        self.function = self.traceparent = ""
        self.is_over = False
        self._groups: dict[tuple[Any, ...], Group] = {}
        self.find = self._groups.get
        self._lines: dict[tuple[int, int], int] = {}  # how many statements a line has run
        self._lost: Group | None = None

    def note(
        self, query: Any, seconds: float, rows: int, frame: FrameType, instruction: int, values: Any, failed: int
    ) -> None:
        """Note a query that is new, slow, failed or repeating.

        Args:
            query: the statement, as the app gave it.
            seconds: how long it took.
            rows: the cursor's rowcount.
            frame, instruction: the app's line.
            values: the parameters.
            failed: 1 when it failed, else 0.
        """
        if self.is_over:  # a thread that has outlived its request
            return
        group = self._group(_key(query), query, frame.f_code, instruction)
        group.durations.append(seconds)
        group.rows += rows
        group.errors += failed
        if len(group.durations) > group.next_look or self._is_busy(group):
            group.look(frame, values)

    def _is_busy(self, group: Group) -> bool:
        """Tell whether a statement is the fifth or sixth new one of its line: values may be written into it."""
        if len(group.durations) > 1:
            return False
        line = id(group.code), group.instruction
        self._lines[line] = count = self._lines.get(line, 0) + 1
        return REPEATED <= count < REPEATED + LOOKS

    @property
    def query_count(self) -> int:
        """How many queries there were so far."""
        return sum(group.count for group in self.groups())

    def groups(self) -> list[Group]:
        """Return all queries so far, by statement and line."""
        found = list(self._groups.values())
        return found if self._lost is None else [*found, self._lost]

    def end(self) -> list[QueryGroup]:
        """Hand all to the block around, and return it."""
        groups = self.groups()
        self.is_over = True
        if self.outer is not None:
            self.outer.take(groups)
        return _events(groups)

    def take(self, groups: Iterable[Group]) -> None:
        """Add the queries of an inner log."""
        with _joining:
            for group in groups:
                key = group.text if group.method == "execute" else (group.method, group.text)
                self._group(key, group.text, group.code, group.instruction, group.method).add(group)

    def _group(self, key: Any, query: Any, code: CodeType, instruction: int, method: str | None = None) -> Group:
        place = (key, id(code), instruction)  # the group keeps the code, so that its id stays its own
        group = self._groups.get(place)
        if group is not None:
            return group
        if len(self._groups) >= MOST_GROUPS:
            if self._lost is None:
                self._lost = Group(OTHERS, code, instruction, "other")
            return self._lost
        text, called = _text(query)
        group = self._groups[place] = Group(text, code, instruction, method or called)
        return group


def _events(groups: list[Group]) -> list[QueryGroup]:
    """Return what listeners are told: statements that differ in their values alone are one."""
    if len(groups) == 1:
        return [groups[0].event()]
    found: dict[tuple[str, int, int], tuple[Statement, list[Group]]] = {}
    for group in groups:
        statement = statement_of(group.text)
        place = (statement.id, id(group.code), group.instruction)
        known = found.get(place)
        if known is None:
            found[place] = statement, [group]
        else:
            known[1].append(group)
    return [
        (same[0] if len(same) == 1 else _joined(same)).event(statement) for statement, same in found.values()
    ]


def _joined(groups: list[Group]) -> Group:
    first = groups[0]
    joined = Group(first.text, first.code, first.instruction, first.method)
    for group in groups:
        joined.add(group)
    joined.is_same = False
    return joined


class Call(tuple[str, Any]):
    """A query that is no plain `execute`: the cursor's method, and its statement or what it was called with."""

    __slots__ = ()


def _key(query: Any) -> Any:
    """Return what tells one statement from another."""
    if isinstance(query, (str, bytes)):
        return query if len(query) <= LONGEST else query[:LONGEST]
    if isinstance(query, Call):
        return query[0], _key(query[1])
    return rendered(query)


def _text(query: Any) -> tuple[str | bytes, str]:
    """Return a statement's text and the cursor's method."""
    if isinstance(query, Call):
        return _text(query[1])[0], query[0]
    key = _key(query)
    return (key if isinstance(key, (str, bytes)) else str(key)), "execute"


def rendered(query: Any) -> str:
    """Return the text of what psycopg2.sql composed, without its values and without a connection."""
    if isinstance(query, Composed):
        return "".join(map(rendered, query.seq))[:LONGEST]
    if isinstance(query, SQL):
        return query.string
    if isinstance(query, Identifier):
        return ".".join('"' + name.replace('"', '""') + '"' for name in query.strings)
    return "%s" if isinstance(query, Placeholder) else "?"
