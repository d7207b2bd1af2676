"""The queries of one request, noted as cheaply as they can be and counted when there is time.

The monitor appends a tuple per query and looks no further. Here the tuples become groups, one per statement and
line: every now and then while the request runs, so that a request of a million queries takes no more memory
than one of a hundred, and at its end. A line that repeats is looked at once more, for who called it and whether
its values are always the same.
Knows nothing of Flask. If this is wrong, a request's queries are miscounted.
"""

from __future__ import annotations

import time
from types import CodeType, FrameType
from typing import Any

from psycopg2.sql import SQL, Composed, Identifier, Placeholder

from .callsite import app_stack, site_of_code
from .events import QueryGroup
from .fingerprint import LONGEST, statement_of

FIRST_LOOK, LOOK_EVERY = 8, 64
MOST_GROUPS = 500  # different statements and lines of one request; what comes after is one group
MOST_DURATIONS = 1000
REPEATED = 3  # runs of a line that make it worth a look at its callers
LOOKS = 32  # queries in a row that are looked at for that
Entry = tuple[Any, float, int, CodeType, int]  # statement, seconds, rows, code, instruction


class Group:
    """One statement from one line, so far."""

    __slots__ = (
        "code", "count", "durations", "errors", "instruction", "is_same", "method", "rows", "seconds", "seen",
        "slowest", "stack", "text",
    )  # fmt: skip

    def __init__(self, text: str | bytes, code: CodeType, instruction: int, method: str) -> None:
        self.text, self.code, self.instruction, self.method = text, code, instruction, method
        self.count = self.rows = self.errors = 0
        self.seconds = self.slowest = 0.0
        self.durations: list[float] = []
        self.stack: tuple[str, ...] = ()
        self.seen: int | None = None
        self.is_same: bool | None = None

    def look(self, frame: FrameType, values: Any) -> None:
        """Remember who called, and whether the values are the ones of last time; never the values themselves."""
        if not self.stack:
            self.stack = app_stack(frame)
        seen = hash(repr(values)[:2000])
        if self.seen is not None and self.is_same is not False:
            self.is_same = seen == self.seen
        self.seen = seen

    def event(self) -> QueryGroup:
        """Return what the listeners are told."""
        return QueryGroup(
            statement=statement_of(self.text), site=site_of_code(self.code, self.instruction), count=self.count,
            seconds=self.seconds, slowest=self.slowest, durations=tuple(self.durations), rows=self.rows,
            errors=self.errors, is_batch=self.instruction < 0, stack=self.stack, is_same=self.is_same,
            method=self.method,
        )  # fmt: skip


class QueryLog:
    """What a request, or a block, has asked the database.

    Attributes:
        kind: "request" or "block".
        method, route, request_id: what is known of the request; the route once Flask has found it.
        started: by `time.perf_counter`.
        entries: the queries that were not counted yet; the monitor appends to it.
        next_look: so many entries call for a look.
        outer: the log of the block around it, which gets all this one has.
        tag: the comment its statements carry; None when it was not made yet.
    """

    __slots__ = (
        "_failed", "_groups", "_looks", "_lost", "_wanted", "entries", "is_over", "kind", "method", "next_look",
        "outer", "request_id", "route", "started", "tag",
    )  # fmt: skip

    def __init__(self, kind: str = "request", method: str = "", route: str = "", request_id: str = "") -> None:
        self.kind, self.method, self.route, self.request_id = kind, method, route, request_id
        self.started = time.perf_counter()
        self.entries: list[Entry] = []
        self.next_look = FIRST_LOOK
        self.outer: QueryLog | None = None
        self.tag: str | None = None
        self.is_over = False
        self._groups: dict[tuple[Any, ...], Group] = {}
        self._failed: list[int] = []  # which entries did
        self._wanted: set[tuple[Any, ...]] = set()
        self._looks = 0
        self._lost: Group | None = None

    def failed(self) -> None:
        """Mark the query that is about to be noted as failed."""
        self._failed.append(len(self.entries))

    def look(self, values: Any, frame: FrameType) -> None:
        """Count what was noted so far; look at the callers of what repeats."""
        if self.is_over:  # a thread that has outlived its request
            self.entries.clear()
            return
        if self._wanted:
            self._look_at_last(values, frame)
        if len(self.entries) >= LOOK_EVERY or (not self._looks and len(self.entries) == FIRST_LOOK):
            self._count()
            wanted = {
                key for key, group in self._groups.items() if group.count >= REPEATED and group.is_same is None
            }
            self._wanted, self._looks = wanted, LOOKS if wanted else 0
        self.next_look = len(self.entries) + 1 if self._wanted else LOOK_EVERY

    def _look_at_last(self, values: Any, frame: FrameType) -> None:
        query, _, _, code, instruction = self.entries[-1]
        key = (_key(query), id(code), instruction)
        if key in self._wanted and (group := self._groups.get(key)) is not None:
            group.look(frame, values)
            if group.is_same is not None:
                self._wanted.discard(key)
        self._looks -= 1
        if not self._looks:
            self._wanted.clear()

    def shorten_last(self) -> None:
        """Keep no more of a very long statement than what tells it from others."""
        query = self.entries[-1][0]
        if isinstance(query, (str, bytes)) and len(query) > LONGEST:
            self.entries[-1] = (query[:LONGEST], *self.entries[-1][1:])

    def groups(self) -> list[Group]:
        """Return all queries so far, by statement and line."""
        self._count()
        return [*self._groups.values(), *([self._lost] if self._lost else [])]

    def end(self) -> list[QueryGroup]:
        """Count the last ones, hand all to the block around, and return them."""
        groups = self.groups()
        self.is_over = True
        self.next_look = 0
        if self.outer is not None:
            self.outer.take(self._groups)
        return [group.event() for group in groups]

    def take(self, groups: dict[tuple[Any, ...], Group]) -> None:
        """Add the queries of an inner log."""
        for key, group in groups.items():
            mine = self._group(key, group.text, group.code, group.instruction, group.method)
            mine.count += group.count
            mine.rows += group.rows
            mine.errors += group.errors
            mine.seconds += group.seconds
            mine.slowest = max(mine.slowest, group.slowest)
            mine.durations += group.durations[: MOST_DURATIONS - len(mine.durations)]
            mine.stack = mine.stack or group.stack
            mine.is_same = group.is_same if mine.is_same is None else mine.is_same and group.is_same

    def _count(self) -> None:
        entries, self.entries = self.entries, []
        failed, self._failed = self._failed, []
        groups = self._groups
        for query, seconds, rows, code, instruction in entries:
            is_short = query.__class__ is str and len(query) <= LONGEST
            key = (query if is_short else _key(query), id(code), instruction)
            group = groups.get(key)
            if group is None:
                text, method = _text(query)
                group = self._group(key, text, code, instruction, method)
            group.count += 1
            group.seconds += seconds
            if seconds > group.slowest:
                group.slowest = seconds
            if rows > 0:
                group.rows += rows
            if group.count <= MOST_DURATIONS:
                group.durations.append(seconds)
        for place in failed:
            if place < len(entries):
                query, _, _, code, instruction = entries[place]
                found = groups.get((_key(query), id(code), instruction), self._lost)
                if found is not None:
                    found.errors += 1

    def _group(
        self, key: tuple[Any, ...], text: str | bytes, code: CodeType, instruction: int, method: str = "execute"
    ) -> Group:
        group = self._groups.get(key)
        if group is not None:
            return group
        if len(self._groups) >= MOST_GROUPS:
            if self._lost is None:
                self._lost = Group("-- other statements", code, instruction, "other")
            return self._lost
        group = self._groups[key] = Group(text, code, instruction, method)
        return group


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
