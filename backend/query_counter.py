"""Counts the queries of a block or of a function, with their lines, times and repeats.

    with QueryCounter() as counter:
        client.get("/customers/7")
    counter.count, counter.seconds, counter.queries, counter.repeats

It sees what the kit's connections send in this thread, and in functions given to `in_thread`; not other processes,
and not cursors that were made before anything was watched.
A block of which nothing could be seen is an error, and no zero. Knows nothing of Flask. If this is wrong, tests
pass that should fail.
"""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from . import connection, dropin, fork, monitor, unpooled
from .close_log import CloseLog
from .errors import MonitorError
from .events import QueryGroup, Repeats, RequestEnded
from .repeats import by_statement, repeats_of

log = logging.getLogger(__name__)
PAIR = 2  # so many runs of a line are no repeats yet: two may be a pair, three are a loop
P = ParamSpec("P")
R = TypeVar("R")
_switch = threading.Lock()  # guards how many blocks have switched the cursors on
_blocks = 0


class QueryCounter:
    """Counts queries, as a context manager and as a decorator; each call of a decorated function counts afresh.

    Args:
        name: what reports call it; a decorated function's own name when empty.
        told: called with the counter when it has ended; a decorated function's is logged when None.
        limit: a line that runs a statement more often within one request, or the block, is among the `repeats`.
    """

    def __init__(
        self, name: str = "", told: Callable[[QueryCounter], None] | None = None, limit: int = PAIR
    ) -> None:
        self.name, self.told, self.limit = name, told, limit
        self._log: CloseLog | None = None
        self._found: list[RequestEnded] | None = None

    @property
    def count(self) -> int:
        """How many queries there were; within the block, how many there were so far."""
        return sum(part.queries for part in self._parts())

    @property
    def seconds(self) -> float:
        """Time spent in them."""
        return sum(part.query_seconds for part in self._parts())

    @property
    def queries(self) -> tuple[QueryGroup, ...]:
        """They, the most frequent first, each with `statement`, `site`, `count`, `seconds` and `rows`."""
        groups = by_statement(group for part in self._parts() for group in part.groups)
        return tuple(sorted(groups, key=lambda group: group.count, reverse=True))

    @property
    def repeats(self) -> tuple[Repeats, ...]:
        """What repeated within one request, or in the block itself."""
        return tuple(found for part in self._parts() for found in repeats_of(part, self.limit))

    def __str__(self) -> str:
        repeats = len(self.repeats)
        more = f", {repeats} repeat{'s' * (repeats != 1)}" if repeats else ""
        plural = "query" if self.count == 1 else "queries"
        return f"{self.count} {plural} in {self.seconds * 1000:.1f} ms{more}"

    def _parts(self) -> list[RequestEnded]:
        if self._found is not None:
            return self._found
        return self._log.all() if self._log is not None else []

    def __enter__(self) -> QueryCounter:
        if self._log is not None and self._found is None:
            raise MonitorError("this QueryCounter is counting already; make one for each block")
        switch_on()
        self._found = None
        self._log = CloseLog(route=self.name)
        monitor.begin(self._log)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        __tracebackhide__ = True  # pytest: what is wrong is in the block
        watched = self._log
        assert watched is not None
        # No event: what requests inside have asked was told already, and a counter's block is nobody's request.
        monitor.at_work.set(watched.outer)
        self._found = watched.all()
        watched.end()
        switch_off()
        if self.told is not None:
            self.told(self)
        if kind is None:
            self._judge()

    def _judge(self) -> None:
        __tracebackhide__ = True
        self.check_sight()

    def check_sight(self) -> None:
        """Raise MonitorError when there was nothing that could have seen a query."""
        if not self.count and not _can_see():
            raise MonitorError(
                "no query could be seen here: psycopg2.connect is its own and no pool of the kit is open; call "
                "install() before the app connects, or set `harden_install = watch` for the pytest plugin"
            )

    def in_thread(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function such that its queries count here when another thread runs it.

        Raises:
            MonitorError: the block is not entered.
        """
        if self._log is None or self._found is not None:
            raise MonitorError("in_thread() works inside the block: `with QueryCounter() as counter:`")
        around = copy_context()

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            return around.copy().run(function, *args, **kwargs)  # a context is for one thread at a time

        return run

    def _fresh(self, function: Callable[..., Any]) -> QueryCounter:
        return QueryCounter(self.name or function.__qualname__, self.told or _log_count, self.limit)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function, a coroutine function or a generator function."""
        if inspect.isasyncgenfunction(function):
            raise MonitorError(f"{function.__qualname__} is an async generator: count within it, by `with`")
        made: Any
        if inspect.iscoroutinefunction(function):

            async def made(*args: Any, **kwargs: Any) -> Any:
                with self._fresh(function):
                    return await function(*args, **kwargs)

        elif inspect.isgeneratorfunction(function):

            def made(*args: Any, **kwargs: Any) -> Any:
                with self._fresh(function):
                    return (yield from function(*args, **kwargs))

        else:

            def made(*args: Any, **kwargs: Any) -> Any:
                with self._fresh(function):
                    return function(*args, **kwargs)

        decorated: Callable[P, R] = functools.wraps(function)(made)
        return decorated


def _log_count(counter: QueryCounter) -> None:
    log.info("%s: %s", counter.name, counter)


def _ours(conn: Any, make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a monitored cursor; by its identity it is known who switched the monitor on."""
    return monitor.cursor_of(conn, make, args, kwargs)


def switch_on() -> None:
    """Have cursors monitored, unless they are already: those that are made from now on."""
    global _blocks
    with _switch:
        if connection.monitored is None:
            connection.monitored = _ours
            _blocks = 1
        elif _blocks:
            _blocks += 1


def switch_off() -> None:
    """Take one `switch_on` back."""
    global _blocks
    with _switch:
        _blocks = max(0, _blocks - 1)
        if not _blocks and connection.monitored is _ours:
            connection.monitored = None


def _can_see() -> bool:
    """Tell whether anything that the app may connect through is the kit's."""
    if dropin.installed() is not None or unpooled.is_watching():
        return True
    # Those of a drop-in that is gone lead nowhere, and stay for as long as the garbage collector likes.
    pools = (each for each in fork.protected() if not isinstance(each, dropin.ReturningPool))
    return any(not each.closed for each in pools if hasattr(each, "getconn"))
