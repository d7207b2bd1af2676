"""The queries of one request, noted as cheaply as they can be.

The monitor appends a tuple per query and looks no further: after a query the processor's caches are cold, and each
step costs a multiple of what it costs in a row. Here the tuples become groups, one per statement and line, in one
go: every now and then, so that a request of a million queries takes no more memory than one of a hundred, and at
its end. A line that repeats is looked at twice then, for who called it and whether its values differ.
Knows nothing of Flask. If this is wrong, a request's queries are miscounted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any

from .callsite import app_stack
from .events import QueryGroup, RequestEnded
from .fingerprint import LONGEST
from .lines import Line, key_of, line_of

FIRST_LOOK = 6  # queries; then three times as many later, and at last every LOOK_EVERY
LOOK_EVERY = 64
MOST_GROUPS = 500  # different statements and lines of one request; what comes after is one group
MOST_DURATIONS = 1000
RECENT, TWICE = 6, 2  # a line that has run twice among the last queries is looked at, ...
LOOKS, IN_A_ROW = 2, 6  # ... so often, if it comes again among so many queries
OTHERS = "-- other statements"
_counting = threading.Lock()  # guards the groups of all logs: a request may have threads; nothing slow in there


class Group:
    """One statement from one line, so far.

    Attributes:
        line: which.
        durations: seconds of each run, the last thousand.
        rows, errors: of all runs.
        stack: the app's frames that led there, innermost first, once it was looked at.
        is_same: whether the values were the same at each look.
    """

    # Most groups are of one query: what they do not need is the class's, and making one costs half.
    rows = errors = 0
    stack: tuple[str, ...] = ()
    is_same: bool | None = None
    _past_count, _past_seconds, _past_slowest = 0, 0.0, 0.0

    def __init__(self, line: Line) -> None:
        self.line = line
        self.durations: list[float] = []

    @property
    def count(self) -> int:
        """How often it ran."""
        return self._past_count + len(self.durations)

    @property
    def seconds(self) -> float:
        """Time spent in all runs."""
        return self._past_seconds + sum(self.durations)

    def sum_up(self) -> None:
        """Keep the sum of the runs so far instead of each."""
        self._past_slowest = max(self._past_slowest, *self.durations)
        self._past_seconds += sum(self.durations)
        self._past_count += len(self.durations)
        self.durations.clear()

    def add(self, other: Group) -> None:
        """Add another one's runs."""
        if len(self.durations) + len(other.durations) > MOST_DURATIONS and self.durations:
            self.sum_up()
        self._past_count += other._past_count
        self._past_seconds += other._past_seconds
        self._past_slowest = max(self._past_slowest, other._past_slowest)
        self.durations += other.durations
        self.rows += other.rows
        self.errors += other.errors
        self.stack = self.stack or other.stack
        self.is_same = other.is_same if self.is_same is None else self.is_same and other.is_same

    def event(self) -> QueryGroup:
        """Return what the listeners are told."""
        line, durations = self.line, self.durations
        count, seconds, slowest = len(durations), sum(durations), max(durations) if durations else 0.0
        if self._past_count:
            count, seconds = count + self._past_count, seconds + self._past_seconds
            slowest = max(slowest, self._past_slowest)
        return QueryGroup(
            line.statement, line.site, count, seconds, slowest, tuple(durations),
            max(self.rows, 0), self.errors, line.instruction < 0, self.stack, self.is_same, line.method,
        )  # fmt: skip


class Look:
    """What was seen of a line that repeats.

    Attributes:
        times: how often it was looked at.
        stack: the app's frames that led there, innermost first.
        is_same: whether the values were those of the look before; None at the first.
    """

    __slots__ = ("_seen", "is_same", "stack", "times")

    def __init__(self, frame: FrameType, values: Any) -> None:
        self.times, self.stack = 1, app_stack(frame)
        self.is_same: bool | None = None
        self._seen = hash(repr(values)[:2000])  # never the values themselves

    def again(self, values: Any) -> None:
        """Compare the values of another run."""
        seen = hash(repr(values)[:2000])
        self.times += 1
        self.is_same = seen == self._seen and self.is_same is not False
        self._seen = seen


class QueryLog:
    """What a request, or a block, has asked the database.

    Attributes:
        kind: "request" or "block".
        method, route, request_id: what is known of the request; the route once Flask has found it.
        function: the endpoint; "" until it is known.
        traceparent: the header of that name.
        started: by `time.perf_counter`.
        entries: what the monitor has noted: statement, seconds, rows, code and instruction of each query.
        next_look: so many entries call for `look`.
        code: the function of the app's that asked last; the monitor keeps it.
        outer: the log of the block around it, which gets all this one has.
        tag: the comment its statements carry; None when it was not made yet.
    """

    # A request of one query is the most frequent kind: what it does not need is the class's, and made when needed.
    function = traceparent = ""
    outer: QueryLog | None = None
    tag: str | None = None
    code: Any = None
    is_over = False
    next_look = FIRST_LOOK
    _in_a_row, _pause = 0, 3 * FIRST_LOOK
    _lost: Group | None = None

    def __init__(self, kind: str = "request", method: str = "", route: str = "", request_id: str = "") -> None:
        self.kind, self.method, self.route, self.request_id = kind, method, route, request_id
        self.entries: list[Any] = []
        self._groups: dict[Any, Group] = {}
        self._looks: dict[tuple[int, int], Look] = {}  # by the id of the code, and the instruction
        self.started = time.perf_counter()

    def note(
        self, query: Any, seconds: float, rows: int, frame: FrameType, instruction: int, values: Any, failed: int
    ) -> None:
        """Note a query that failed, or whose line the monitor could not tell by itself.

        Args:
            query: the statement, as the app gave it.
            seconds: how long it took.
            rows: the cursor's rowcount.
            frame, instruction: the app's line.
            values: the parameters.
            failed: 1 when it failed, else 0.
        """
        if self.is_over:
            return
        self.entries.append((query, seconds, rows, frame.f_code, instruction))
        if failed:
            self._count_all()
            group = self._groups.get((key_of(query), id(frame.f_code), instruction), self._lost)
            if group is not None:
                group.errors += 1
            self.next_look = FIRST_LOOK
        elif len(self.entries) >= self.next_look:
            self.look(values, frame)

    def look(self, values: Any, frame: FrameType) -> None:
        """Look at the last query, if its line repeats; count what was noted, if that is much.

        Args:
            values: the last query's parameters.
            frame: the app's frame that asked it.
        """
        if self.is_over:  # a thread that has outlived its request
            self.entries.clear()
            return
        recent = self.entries[-RECENT:]
        query, _, _, code, instruction = recent[-1]
        is_repeated = sum(each[4] == instruction and each[3] is code for each in recent) >= TWICE
        if is_repeated:
            # What psycopg2.sql composed may have values in it.
            self._look_at((id(code), instruction), frame, values if query.__class__ is str else (query, values))
        if len(self.entries) >= LOOK_EVERY:
            self._count_all()
        if is_repeated and self._in_a_row < IN_A_ROW:
            self._in_a_row += 1
            self.next_look = len(self.entries) + 1
            return
        self._in_a_row = 0
        self.next_look = len(self.entries) + self._pause
        self._pause = min(3 * self._pause, LOOK_EVERY)

    def _look_at(self, line: tuple[int, int], frame: FrameType, values: Any) -> None:
        known = self._looks.get(line)
        if known is None:
            self._looks[line] = Look(frame, values)
        elif known.times < LOOKS:
            known.again(values)

    def _count_all(self) -> None:
        with _counting:
            entries = self.entries[:]
            del self.entries[: len(entries)]  # another thread of the request may append meanwhile
            self._count(entries)

    def _count(self, entries: list[Any]) -> None:
        groups = self._groups
        for query, seconds, rows, code, instruction in entries:
            is_short = query.__class__ is str and len(query) <= LONGEST
            place = query if is_short else key_of(query), id(code), instruction
            group = groups.get(place)
            if group is None:
                group = self._open(place, line_of(query, code, instruction))
            group.durations.append(seconds)
            group.rows += rows
        for group in self._all():
            if len(group.durations) > MOST_DURATIONS:
                group.sum_up()

    def _open(self, place: Any, line: Line) -> Group:
        """Return a new group for a line; the one of all others when there are too many."""
        if len(self._groups) < MOST_GROUPS:
            group = self._groups[place] = Group(line)
            return group
        if self._lost is None:
            self._lost = Group(Line(line_of(OTHERS, line.code, 0).statement, line.code, 0, "other"))
        return self._lost

    @property
    def query_count(self) -> int:
        """How many queries there were so far."""
        return sum(group.count for group in self.groups())

    def sums(self) -> tuple[int, float]:
        """Return how many queries there were, and the time spent in them, without counting them by line."""
        count, seconds = len(self.entries), sum([entry[1] for entry in self.entries])
        for group in self._all():
            count, seconds = count + group.count, seconds + group.seconds
        return count, seconds

    def groups(self) -> list[Group]:
        """Return all queries so far, by statement and line."""
        self._count_all()
        if self._looks:
            for group in self._groups.values():
                self._tell(group)
        return self._all()

    def _all(self) -> list[Group]:
        """Return what was counted so far, the group of all others included."""
        found = list(self._groups.values())
        return found if self._lost is None else [*found, self._lost]

    def _tell(self, group: Group) -> None:
        """Give a group what was seen of its line."""
        seen = self._looks.get((id(group.line.code), group.line.instruction))
        if seen is not None:
            group.stack, group.is_same = seen.stack, seen.is_same

    def end(self) -> list[QueryGroup]:
        """Hand all to the block around, and return it."""
        self.is_over = True
        if not self.entries and not self._groups:
            return []
        if len(self.entries) == 1 and not self._groups and self.outer is None:
            return [_only(*self.entries[0])]
        groups = self.groups()
        if self.outer is not None:
            self.outer.take(groups)
        return _events(groups)

    def event(
        self, groups: Iterable[QueryGroup], status: int = 0, seconds: float | None = None, *,
        is_counted: bool = False,
    ) -> RequestEnded:  # fmt: skip
        """Return what listeners are told of the whole log.

        Args:
            groups: its queries.
            status: the HTTP status; 0 for a block.
            seconds: how long it took; until now when None.
            is_counted: whether the metrics have the request itself already.
        """
        all_groups = tuple(groups)
        return RequestEnded(
            self.kind, self.method, self.route, status,
            time.perf_counter() - self.started if seconds is None else seconds, self.request_id, all_groups,
            sum([group.count for group in all_groups]), sum([group.seconds for group in all_groups]), is_counted,
        )  # fmt: skip

    def take(self, groups: Iterable[Group]) -> None:
        """Add the queries of an inner log."""
        with _counting:
            for group in groups:
                place = group.line.place
                mine = self._groups.get(place) or self._open(place, group.line)
                mine.add(group)


def _only(query: Any, seconds: float, rows: int, code: CodeType, instruction: int) -> QueryGroup:
    """Return what listeners are told of a log's only query."""
    line = line_of(query, code, instruction)
    return QueryGroup(
        line.statement, line.site, 1, seconds, seconds, (seconds,), max(rows, 0), 0, instruction < 0, (), None,
        line.method,
    )  # fmt: skip


def _events(groups: list[Group]) -> list[QueryGroup]:
    """Return what listeners are told: statements that differ in their values alone are one."""
    if len(groups) == 1:
        return [groups[0].event()]
    found: dict[int, list[Group]] = {}
    for group in groups:
        found.setdefault(group.line.place, []).append(group)
    return [(same[0] if len(same) == 1 else _joined(same)).event() for same in found.values()]


def _joined(groups: list[Group]) -> Group:
    joined = Group(groups[0].line)
    for group in groups:
        joined.add(group)
    joined.is_same = False
    return joined
