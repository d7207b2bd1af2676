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

from . import request_names
from .events import QueryGroup, RequestEnded
from .fingerprint import LONGEST
from .lines import key_of, line_of
from .query_group import MOST_DURATIONS, Group, Look, Worked, events_of

FIRST_LOOK = 6  # queries until it looks for repeats; then three times as many later
LOOK_EVERY, COUNT_EVERY = 64, 256  # queries between two looks at most; between two counts
RECENT, TWICE = 6, 2  # a line that has run twice among the last queries is looked at, ...
LOOKS, IN_A_ROW = 2, 6  # ... so often, if it comes again among so many queries
Entry = tuple[Any, float, int, CodeType, int]  # statement, seconds, rows, code and instruction of a query
_counting = threading.Lock()  # guards the groups of all logs: a request may have threads; nothing slow in there


class QueryLog(list[Entry]):
    """What a request, or a block, has asked the database: the list of what the monitor has noted.

    Attributes:
        kind: "request" or "block".
        method, route, function, request_id, traceparent: what is known of who asks; see `request_names`.
        environ: the request's WSGI environment, until it is over.
        started: by `time.perf_counter`.
        next_look: so many entries call for `look`.
        code: the function of the app's that asked last; the monitor keeps it.
        outer: the log of the block around it, which gets all this one has.
        tag: the comment its statements carry; None when it was not made yet.
        status: the first line of the answer; the monitor's caller keeps it.
        worked: what was worked out so far; None where nothing was.
    """

    # A request of one query is the most frequent kind: what it does not need is made when it is needed.
    __slots__ = (
        "_function", "_in_a_row", "_pause", "_request_id", "_route", "code", "environ", "is_over", "kind",
        "method", "next_look", "outer", "started", "status", "tag", "worked",
    )  # fmt: skip
    outer: QueryLog | None
    __eq__ = object.__eq__  # two that have asked nothing yet are still two
    __ne__ = object.__ne__
    __hash__ = object.__hash__  # type: ignore[assignment]  # as they are told apart, they can be keys

    def __init__(
        self, kind: str = "request", method: str = "", route: str = "", request_id: str = "",
        environ: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.kind, self.method, self._route, self._request_id, self._function = kind, method, route, request_id, ""
        self.environ, self.status = environ, ""
        self.code: Any = None
        self.worked: Worked | None = None
        self.outer = None
        self.tag: str | None = None
        self.is_over = False
        self.next_look, self._pause, self._in_a_row = FIRST_LOOK, 3 * FIRST_LOOK, 0
        self.started = time.perf_counter()

    @property
    def route(self) -> str:
        """The URL rule, once Flask has found it; a block's name."""
        if not self._route and self.environ is not None:
            self._route = request_names.route_of(self.environ)
        return self._route

    @route.setter
    def route(self, route: str) -> None:
        self._route = route

    @property
    def function(self) -> str:
        """The endpoint; "" until it is known."""
        return self._function or ("" if self.environ is None else request_names.endpoint_of(self.environ))

    @function.setter
    def function(self, function: str) -> None:
        self._function = function

    @property
    def request_id(self) -> str:
        """The id that the front gave a request, or a new one; "" for a block."""
        if not self._request_id and self.kind == "request":
            self._request_id = request_names.id_of(self.environ or {})
        return self._request_id

    @property
    def traceparent(self) -> str:
        """The header of that name."""
        return "" if self.environ is None else str(self.environ.get("HTTP_TRACEPARENT", ""))

    @property
    def is_counted(self) -> bool:
        """Whether some of it was counted by line already, and is no longer among the entries."""
        return self.worked is not None and bool(self.worked.groups)

    def settle(self) -> str:
        """Take what is worth keeping of the WSGI environment, and let go of it: a body may hang on it.

        Returns:
            the route.
        """
        environ = self.environ
        if environ is None:
            return self._route
        self.environ = None
        if "HTTP_X_REQUEST_ID" in environ:
            self._request_id = self._request_id or request_names.id_of(environ)
        if not self._route:
            self._route = request_names.route_of(environ)
        return self._route

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
        self.append((query, seconds, rows, frame.f_code, instruction))
        if failed:
            worked = self._count_all()
            group = worked.groups.get((key_of(query), id(frame.f_code), instruction), worked.lost)
            if group is not None:
                group.errors += 1
            self.next_look = FIRST_LOOK
        elif len(self) >= self.next_look:
            self.look(values, frame)

    def look(self, values: Any, frame: FrameType) -> None:
        """Look at the last query, if its line repeats; count what was noted, if that is much.

        Args:
            values: the last query's parameters.
            frame: the app's frame that asked it.
        """
        if self.is_over:  # a thread that has outlived its request
            self.clear()
            return
        recent = self[-RECENT:]
        if not recent:  # another thread of the request has counted meanwhile
            return
        query, _, _, code, instruction = recent[-1]
        is_repeated = sum(each[4] == instruction and each[3] is code for each in recent) >= TWICE
        if is_repeated:
            # What psycopg2.sql composed may have values in it.
            seen = values if query.__class__ is str else (query, values)
            looks = self._work().looks
            known = looks.get((id(code), instruction))
            if known is None:
                looks[id(code), instruction] = Look(frame, seen)
            elif known.times < LOOKS:
                known.again(seen)
        if len(self) >= COUNT_EVERY:
            self._count_all()
        if is_repeated and self._in_a_row < IN_A_ROW:
            self._in_a_row += 1
            self.next_look = len(self) + 1
            return
        self._in_a_row = 0
        self.next_look = len(self) + self._pause
        self._pause = min(3 * self._pause, LOOK_EVERY)

    def _work(self) -> Worked:
        if self.worked is None:
            self.worked = Worked()
        return self.worked

    def _count_all(self) -> Worked:
        with _counting:
            worked = self._work()
            entries = self[:]
            del self[: len(entries)]  # another thread of the request may append meanwhile
            self._count(worked, entries)
        return worked

    def _count(self, worked: Worked, entries: list[Entry]) -> None:
        groups = worked.groups
        for query, seconds, rows, code, instruction in entries:
            is_short = query.__class__ is str and len(query) <= LONGEST
            place = query if is_short else key_of(query), id(code), instruction
            group = groups.get(place)
            if group is None:
                group = worked.open(place, line_of(query, code, instruction))
            group.durations.append(seconds)
            group.rows += rows
        for group in worked.all():
            if len(group.durations) > MOST_DURATIONS:
                group.sum_up()

    @property
    def query_count(self) -> int:
        """How many queries there were so far."""
        return sum(group.count for group in self.groups())

    def sums(self) -> tuple[int, float]:
        """Return how many queries there were, and the time spent in them, without counting them by line."""
        count, seconds = len(self), sum([entry[1] for entry in self])
        if self.worked is not None:
            for group in self.worked.all():
                count, seconds = count + group.count, seconds + group.seconds
        return count, seconds

    def groups(self) -> list[Group]:
        """Return all queries so far, by statement and line."""
        worked = self._count_all()
        if worked.looks:
            for group in worked.groups.values():
                worked.tell(group)
        return worked.all()

    def end(self) -> list[QueryGroup]:
        """Hand all to the block around, and return it."""
        self.is_over = True
        if not self and self.worked is None:
            return []
        groups = self.groups()
        if self.outer is not None:
            self.outer.take(groups)
        return events_of(groups)

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
            worked = self._work()
            for group in groups:
                place = group.line.place
                mine = worked.groups.get(place) or worked.open(place, group.line)
                mine.add(group)
