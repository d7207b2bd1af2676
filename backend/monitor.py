"""What the app asks the database: each query's statement, time, rows and line, noted by the cursor itself.

The class of a monitored cursor is a subclass of the one that the app asked for, so its rows are the app's rows. In
a request, or a `watching()` block, a query is noted in that request's log; elsewhere it is not even timed. Values
of parameters are neither looked at nor kept.

Not seen: cursors made by hand (`psycopg2.extensions.cursor(conn)`), connections that are not the kit's, and the
time that `for row in named_cursor` spends fetching.
Knows neither Flask nor pools. If this is wrong, a query fails that would have worked, or all of them get slower.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg2.extensions

from . import log_end
from .callsite import known, outward
from .events import RequestEnded
from .lines import Call
from .own_failures import say
from .query_log import QueryLog
from .rows import made_as

plain: type[Any] = psycopg2.extensions.cursor
ENDED = frozenset({"57014", "40P01"})  # by the server: a timeout or cancel, a deadlock. NOWAIT is asked for
at_work: ContextVar[QueryLog | None] = ContextVar("harden_query_log", default=None)
current = at_work.get  # the log of this request or block
MOST_CLASSES = 256
_clock = time.perf_counter
_frame = sys._getframe
# What may be added to a statement, and what is told of a slow one; set by those who do that.
tagged: Callable[[Any, Any, QueryLog | None], Any] | None = None
slow_after = float("inf")  # seconds
slow: Callable[[Any, Any, Any, float, Any, QueryLog | None, BaseException | None], None] | None = None


def report_slow(after: float, tell: Callable[..., None] | None) -> None:
    """Have queries that take longer reported, and those that the server ended for a timeout or a deadlock.

    Args:
        after: seconds.
        tell: called with cursor, query, values, seconds, frame of the app, log and error; None for nobody.
    """
    global slow_after, slow
    slow_after, slow = (after, tell) if tell is not None else (float("inf"), None)


def tag_statements(tag: Callable[[Any, Any, QueryLog | None], Any] | None) -> None:
    """Have each statement of `execute` and `executemany` go through a function first; None for none."""
    global tagged, _monitored_plain
    tagged = tag
    _classes.clear()  # cursors made from now on are of new classes
    _monitored_plain = monitored()


def _note(cursor: Any, query: Any, values: Any, taken: float, error: BaseException | None, frame: Any) -> None:
    """Note a query that failed, or that was no plain `execute`.

    Args:
        cursor: what it ran on.
        query: the statement as the app gave it, or a `Call`.
        values: its parameters.
        taken: seconds.
        error: what it ended in.
        frame: who asked; the app's own line is looked for from there outward.
    """
    try:
        watched = current()
        if watched is None:
            return
        frame, instruction = outward(frame)
        watched.note(query, taken, cursor.rowcount, frame, instruction, values, error is not None)
        if slow is not None and (taken > slow_after or getattr(error, "pgcode", None) in ENDED):
            slow(cursor, query, values, taken, frame, watched, error)
    except Exception as failure:  # whatever goes wrong here must not fail the app's query
        say(failure)


def _look(cursor: Any, query: Any, values: Any, taken: float, watched: QueryLog, frame: Any) -> None:
    """Look at a query that was noted already: the log is full, or it was slow."""
    try:
        if len(watched) >= watched.next_look:
            watched.look(values, frame)
        if slow is not None and taken > slow_after:
            slow(cursor, query, values, taken, frame, watched, None)
    except Exception as failure:
        say(failure)


def _execute(base: Any) -> Any:
    """Return the `execute` of a cursor class: the path that every query takes, so it is written out."""

    # After a query the processor's caches are cold, and each step costs a multiple of what it costs in a row.
    def execute(self: Any, query: Any, vars: Any = None) -> Any:
        watched = current()
        if watched is None:
            return base(self, query, vars)
        start = _clock()
        try:
            done = base(self, query, vars)
        except BaseException as error:
            _note(self, query, vars, _clock() - start, error, _frame(1))
            raise
        taken = _clock() - start
        frame = _frame(1)
        code = frame.f_code
        at = frame.f_lasti
        if code is not watched.code:
            if known(code.co_filename):
                watched.code = code
            else:  # a library's, such as the kit's own, or seen for the first time
                frame, at = outward(frame)
                code = frame.f_code
        watched.append((query, taken, self.rowcount, code, at))
        if taken > slow_after or len(watched) >= watched.next_look:
            _look(self, query, vars, taken, watched, frame)
        return done

    return execute


def _tagging(base: Any) -> Any:
    """Return an `execute` that adds the tag."""

    def execute(self: Any, query: Any, vars: Any = None) -> Any:
        return base(self, query if tagged is None else tagged(query, vars, current()), vars)

    return execute


def _other(base: Any, method: str, what: Callable[..., Any]) -> Any:
    """Return another method that sends statements, noted as well."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        sent = args
        if tagged is not None and method == "executemany" and args:
            sent = (tagged(args[0], args[1:], current()), *args[1:])
        if current() is None:
            return base(self, *sent, **kwargs)
        start = _clock()
        error: BaseException | None = None
        try:
            return base(self, *sent, **kwargs)
        except BaseException as failure:
            error = failure
            raise
        finally:
            _note(self, Call((method, what(*args, **kwargs))), None, _clock() - start, error, _frame(1))

    call.__name__ = method
    return call


def first(*args: Any, **kwargs: Any) -> Any:
    """Return a method's first argument: the statement."""
    return args[0] if args else next(iter(kwargs.values()), "")


def _procedure(*args: Any, **kwargs: Any) -> str:
    return f"CALL {first(*args, **kwargs)}()"


def _copied(direction: str) -> Callable[..., str]:
    def text(*args: Any, **kwargs: Any) -> str:
        table = args[1] if len(args) > 1 else kwargs.get("table", "")
        return f"COPY {table} {direction}"

    return text


# What else sends statements, and what each was asked for by its arguments.
SENDERS: dict[str, Callable[..., Any]] = {
    "executemany": first, "callproc": _procedure, "copy_expert": first, "copy_from": _copied("FROM STDIN"),
    "copy_to": _copied("TO STDOUT"),
}  # fmt: skip
_FETCHES = ("fetchone", "fetchmany", "fetchall")


class Monitored:
    """Mixed into a cursor class, to know one that is monitored already."""

    __slots__ = ()


def _fetch(base: Any, method: str) -> Any:
    def fetch(self: Any, *args: Any) -> Any:
        if current() is None:
            return base(self, *args)
        start = _clock()
        rows = base(self, *args)
        if self.name is not None:
            _note(self, Call(("fetch", "FETCH")), None, _clock() - start, None, _frame(1))
        return rows

    fetch.__name__ = method
    return fetch


_classes: dict[tuple[Any, bool], Any] = {}


def monitored(factory: Any = plain, is_named: bool = False) -> Any:
    """Return the monitored subclass of a cursor class; what is no class of cursors is returned as it is.

    Args:
        factory: psycopg2's own cursor class, or a subclass of it.
        is_named: whether it is for named cursors, whose fetches take time as well.
    """
    made = _classes.get((factory, is_named))
    if made is None:
        if len(_classes) >= MOST_CLASSES:  # somebody makes a class per connection
            _classes.clear()
        made = _classes[factory, is_named] = _made(factory, is_named)
    return made


def _made(factory: Any, is_named: bool) -> Any:
    if not (isinstance(factory, type) and issubclass(factory, plain)) or issubclass(factory, Monitored):
        return factory
    base: Any = factory
    body = {"__slots__": (), "__module__": base.__module__, "__doc__": base.__doc__}
    body["execute"] = _execute(base.execute if tagged is None else _tagging(base.execute))
    body.update({name: _other(getattr(base, name), name, what) for name, what in SENDERS.items()})
    if is_named:
        body.update({name: _fetch(getattr(base, name), name) for name in _FETCHES})
    try:
        return type(base.__name__, (Monitored, base), body)
    except TypeError:  # a class that will not have subclasses
        return factory


_monitored_plain = monitored()
_default_kinds: dict[type[Any], bool] = {}
_factory_of = psycopg2.extensions.connection.cursor_factory.__get__  # a lease guards only changes of it


def cursor_of(conn: Any, make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the cursor that `make` makes of the arguments, monitored.

    Args:
        conn: the connection.
        make: its class's own `cursor` method.
        args, kwargs: what the app called `cursor` with.
    """
    if not args and not kwargs and (_default_kinds.get(conn.__class__) or _makes_the_default(type(conn))):
        factory = _factory_of(conn)
        return make(cursor_factory=_monitored_plain if factory is None else monitored(factory))
    is_named = bool(args[0] if args else kwargs.get("name"))
    asked = args[1] if len(args) > 1 else kwargs.get("cursor_factory")
    if asked is None:  # what the connection's class makes then is its own business
        cursor = make(*args, **kwargs)
        return made_as(monitored(type(cursor), is_named), cursor, make, *args, **kwargs)
    if len(args) > 1:
        return make(args[0], monitored(asked, is_named), *args[2:], **kwargs)
    return make(*args, **{**kwargs, "cursor_factory": monitored(asked, is_named)})


def _makes_the_default(kind: type[Any]) -> bool:
    """Tell whether `cursor()` of a connection class makes what its `cursor_factory` says, or psycopg2's own."""
    known_kind = _default_kinds.get(kind)
    if known_kind is None:
        lease = f"{__name__.rpartition('.')[0]}.connection"
        makers = [each for each in kind.__mro__ if "cursor" in vars(each) and each.__module__ != lease]
        known_kind = _default_kinds[kind] = makers == [psycopg2.extensions.connection]
    return known_kind


@contextmanager
def watching(name: str = "", kind: str = "block") -> Iterator[QueryLog]:
    """Watch the queries of a block as if it were a request: for jobs, scripts and tests.

    Args:
        name: what reports call it, in the place of a route.
        kind: "block".

    Yields:
        The log; `groups()` has what was asked so far.
    """
    watched = begin(QueryLog(kind, route=name))
    try:
        yield watched
    finally:
        end(watched)


def begin(watched: QueryLog) -> QueryLog:
    """Have the queries of this thread noted in a log from now on."""
    watched.outer = current()
    at_work.set(watched)
    return watched


def end(watched: QueryLog, status: int = 0) -> RequestEnded | None:
    """End a log, and tell who listens; the one around it is at work again."""
    if current() is watched:  # a streamed request's log is at work only while a part of its body is made
        at_work.set(watched.outer)
    try:
        return log_end.tell_one(watched, status, _clock() - watched.started)
    except Exception as failure:
        say(failure)
        return None
