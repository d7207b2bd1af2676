"""What happened, as records that nobody can change, and who wants to hear of it.

The monitor emits; the table of queries, metrics, logs and the page listen. Nobody who emits knows a listener,
and a listener that fails fails alone: it is logged once, and the request goes on.
Knows nothing of Flask or pools. If this is wrong, a broken listener breaks requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from .fingerprint import Statement

log = logging.getLogger(__name__)


class QueryGroup(NamedTuple):
    """All runs of one statement from one line in one request.

    Attributes:
        statement: what was run, without its values.
        site: the line of the app that ran it, `file:line in function`.
        count: how often.
        seconds: time spent in all of them.
        slowest: seconds of the slowest.
        durations: seconds of each, the first thousand.
        rows: rows returned or changed, all together; 0 where the driver does not say.
        errors: how many failed.
        is_batch: whether they are the pages of one call, such as `execute_values`, and no loop of the app's.
        stack: the app's frames that led there, innermost first; empty when it was not looked at.
        is_same: whether all runs that were looked at had the same values; None when none was.
        method: the cursor's method: execute, executemany, callproc, copy.
    """

    statement: Statement
    site: str
    count: int  # type: ignore[assignment]  # the tuple's method of that name is nobody's need
    seconds: float
    slowest: float
    durations: tuple[float, ...]
    rows: int
    errors: int = 0
    is_batch: bool = False
    stack: tuple[str, ...] = ()
    is_same: bool | None = None
    method: str = "execute"


class RequestEnded(NamedTuple):
    """A request, or a block watched by hand, is over.

    Attributes:
        kind: "request" or "block".
        method: the HTTP method; "" for a block.
        route: the URL rule, such as `/users/<id>`, never a path; a block's name.
        status: the HTTP status; 0 for a block, and 500 for a request that ended in an exception.
        seconds: from its start to its end, a streamed body included.
        request_id: the id that its log lines carry.
        groups: its queries by statement and line.
        queries: how many there were.
        query_seconds: time spent in them.
        is_counted: whether the metrics have counted the request itself already, at its very end.
    """

    kind: str
    method: str
    route: str
    status: int
    seconds: float
    request_id: str
    groups: tuple[QueryGroup, ...]
    queries: int
    query_seconds: float
    is_counted: bool = False


class RequestSums(NamedTuple):
    """One request without its queries; the attributes are those of `RequestEnded`."""

    kind: str
    method: str
    route: str
    status: int
    seconds: float
    queries: int
    query_seconds: float
    is_counted: bool


class RequestsEnded(NamedTuple):
    """Some requests are over, or a block that no request is around: their sums, a few times a second.

    Attributes:
        requests: each.
        lines: what they have asked, by statement and line: `tally.LineSums`.
    """

    requests: list[RequestSums]
    lines: list[Any]


@dataclass(frozen=True, slots=True)
class SlowQuery:
    """One query took longer than DB_SLOW_QUERY_MS, or was ended by the server's statement_timeout.

    Attributes:
        statement: what was run, without its values.
        site: the line of the app that ran it.
        seconds: how long.
        rows: rows returned or changed; -1 where the driver does not say.
        route, request_id: whose query; "" outside a request.
        sqlstate: "" when it succeeded; 57014 for a timeout or cancel.
        is_timeout: whether the server's statement_timeout ended it.
        values: the values of its parameters as text; None unless DB_QUERY_VALUES is on.
        explain: what can be asked for its plan, called with nothing; None when there is nothing to ask.
        caller: the line in another file that called the one of the site; "" where there is none.
    """

    statement: Statement
    site: str
    seconds: float
    rows: int
    route: str = ""
    request_id: str = ""
    sqlstate: str = ""
    is_timeout: bool = False
    values: str | None = None
    explain: Any = None
    caller: str = ""


@dataclass(frozen=True, slots=True)
class RepeatedLine:
    """One line of a loop of queries.

    Attributes:
        site: the line that runs the query.
        statement: what it runs, without values.
        count: how often.
        seconds: time spent in all of them.
        caller: the line that loops over it, where it is in a helper; "" where it loops itself or none is known.
    """

    site: str
    statement: Statement
    count: int
    seconds: float
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Repeats:
    """A request ran the same statements again and again: one query per row (N+1), or a write per row.

    Attributes:
        lines: the lines of one function that did, the one with the most time first.
        count: queries of all these lines.
        seconds: time spent in them.
        share: which part of the request's time that is, 0 to 1.
        route, request_id: whose.
        stack: the app's frames that led there, innermost first.
        advice: which rewrite fits, in one or two sentences.
        rewrite: a sketch of it in code; "" when there is none.
    """

    lines: tuple[RepeatedLine, ...]
    count: int
    seconds: float
    share: float
    route: str
    request_id: str
    stack: tuple[str, ...]
    advice: str
    rewrite: str


Event = TypeVar("Event")
_listeners: dict[type[Any], tuple[Callable[[Any], None], ...]] = {}
_failed: set[Any] = set()


def listen(kind: type[Event], listener: Callable[[Event], None]) -> None:
    """Have a function called with each event of a kind, in the thread where it happens. Once is enough."""
    known = _listeners.get(kind, ())
    if listener not in known:
        _listeners[kind] = (*known, listener)


def unlisten(kind: type[Event], listener: Callable[[Event], None]) -> None:
    """Call it no more."""
    _listeners[kind] = tuple(each for each in _listeners.get(kind, ()) if each != listener)


def has_listener(kind: type[Any]) -> bool:
    """Tell whether anybody wants events of a kind: making one for nobody is a waste."""
    return bool(_listeners.get(kind))


def emit(event: Any) -> None:
    """Tell everybody who listens."""
    for listener in _listeners.get(type(event), ()):
        try:
            listener(event)
        except Exception:
            if listener not in _failed:
                _failed.add(listener)
                log.exception("a listener of %s failed; this is logged once", type(event).__name__)
