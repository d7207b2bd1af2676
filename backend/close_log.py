"""A log that looks at every query, for tests and counters: who called the line, and in which request.

A request's own log looks at the callers of a line only once it repeats. Here each chain of callers counts apart,
so that two loops over one helper are two; and the queries of a request inside the block are judged as that
request's: a test that asks for two pages has no line that repeats because both ask who is logged in.
Some microseconds per query. Safe in threads. If this is wrong, tests pass that should fail, or fail for nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import FrameType
from typing import Any

from .callsite import app_stack
from .events import QueryGroup, RequestEnded
from .query_group import Group
from .query_log import QueryLog

MOST_STACKS = 1000  # callers told apart; later ones are not
MOST_REQUESTS = 10_000  # within one block, whose repeats are looked for
SEPARATE = ("request", "client")  # kinds of logs that are judged by themselves


class CloseLog(QueryLog):
    """A log whose requests are of its kind as well.

    Attributes:
        requests: what the requests inside have asked.
    """

    def __init__(
        self, kind: str = "block", method: str = "", route: str = "", request_id: str = "",
        environ: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._by_stack: dict[tuple[str, ...], QueryLog] = {}
        self._lock = threading.RLock()  # guards the logs by stack; nothing slow happens while it is held
        self._outer: QueryLog | None = None
        self._started_inside: list[CloseLog] = []
        self.requests: list[RequestEnded] = []
        super().__init__(kind, method, route, request_id, environ)
        self.next_look = 1  # so that the monitor has each query looked at

    # A request whose body nobody has read yet is open when the block around it ends; the block must know of it.
    @property
    def outer(self) -> QueryLog | None:
        """The log of the block around it."""
        return self._outer

    @outer.setter
    def outer(self, around: QueryLog | None) -> None:
        self._outer = around
        if isinstance(around, CloseLog):
            around._started_inside.append(self)

    def look(self, values: Any, frame: FrameType) -> None:
        """Take over the query that the monitor has noted."""
        query, seconds, rows, _, instruction = self.pop()
        self.note(query, seconds, rows, frame, instruction, values, 0)

    def note(
        self, query: Any, seconds: float, rows: int, frame: FrameType, instruction: int, values: Any, failed: int
    ) -> None:
        """Note a query, as `QueryLog.note`."""
        if self.is_over:
            return
        stack = app_stack(frame)
        with self._lock:
            self._of(stack).note(query, seconds, rows, frame, instruction, values, failed)

    def _of(self, stack: tuple[str, ...]) -> QueryLog:
        if stack not in self._by_stack and len(self._by_stack) >= MOST_STACKS:
            stack = ()
        return self._by_stack.setdefault(stack, QueryLog())

    def take(self, groups: Iterable[Group]) -> None:
        """Add the queries of an inner log."""
        with self._lock:
            for group in groups:
                self._of(group.stack).take([group])

    def groups(self) -> list[Group]:
        """Return the queries that no request inside has asked, by statement, line and callers."""
        with self._lock:
            for stack, log in self._by_stack.items():
                for group in log.groups():
                    group.stack = group.stack or stack
            return [group for log in self._by_stack.values() for group in log.groups()]

    def ended(self) -> RequestEnded:
        """Return its own queries as an event."""
        return self.event(group.event() for group in self.groups())

    def all(self) -> list[RequestEnded]:
        """Return what it has asked so far, itself first, then each request inside."""
        still_open = [each for inner in self._started_inside for each in inner.all()]
        return [self.ended(), *self.requests, *still_open]

    def end(self) -> list[QueryGroup]:
        """Hand all to the block around, and return it."""
        outer = self._outer
        self.is_over = True
        still_open, found = self._started_inside, self.all()
        self._started_inside = []
        for inner in still_open:
            inner.outer = outer  # which gets what it asks until its body was read
        if isinstance(outer, CloseLog):
            outer.take_from(self, [self.ended(), *self.requests])
        elif outer is not None:
            outer.take(self.groups())
        return [group for each in found for group in each.groups]

    def take_from(self, inner: CloseLog, found: list[RequestEnded]) -> None:
        """Add an inner log: a request's is kept apart, a block's is this one's own."""
        with self._lock:
            self._started_inside.remove(inner)
            if inner.kind not in SEPARATE:
                self.take(inner.groups())
                found = found[1:]
            room = MOST_REQUESTS - len(self.requests)
            self.requests += [each for each in found if each.queries][:room]
