"""Tells listeners of logs that are over: the sums of all of them, and one by one those that are worth it.

What one request has asked is worked out where somebody listens to each, or where a line ran so often that it may
be an N+1; for all others the sums are enough, and cost a fraction.
Knows nothing of Flask. If this is wrong, requests are missing in figures and reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .events import RequestEnded, RequestsEnded, RequestSums, emit, has_listener
from .own_failures import say
from .query_log import QueryLog
from .tally import Tally

_limit = float("inf")
_judge: Callable[[RequestEnded], None] | None = None


def judge(limit: int, listener: Callable[[RequestEnded], None] | None) -> None:
    """Have a function told of each log with a line above a limit, and of each that was looked at; None: nobody."""
    global _limit, _judge
    _limit, _judge = float("inf") if listener is None else limit, listener


def tell(over: Iterable[tuple[QueryLog, RequestSums]]) -> None:
    """Tell everybody who listens of some requests: of each its log, and itself without its queries."""
    tally, requests = Tally(), list[RequestSums]()
    is_each = has_listener(RequestEnded)
    for log, sums in over:
        log.is_over = True
        requests.append(sums)
        try:
            if log.is_counted:
                tally.add_groups(log.groups(), sums.route)
            elif tally.add(log) <= _limit and not is_each:
                continue
            _tell_each(log.event(log.end(), sums.status, sums.seconds, is_counted=sums.is_counted))
        except Exception as failure:  # of one request; the others' figures are to be right
            say(failure)
    emit(RequestsEnded(requests, tally.lines()))


def tell_one(log: QueryLog, status: int, seconds: float) -> RequestEnded:
    """Tell everybody who listens of one log, and return what they are told.

    Args:
        log: of a request, or of a block: whose queries are no sums of their own where a request is around it.
        status: the HTTP status; 0 for a block.
        seconds: how long it took.
    """
    groups = log.groups()
    event = log.event(log.end(), status, seconds)
    if log.kind == "request" or log.outer is None:
        tally = Tally()
        tally.add_groups(groups, event.route)
        sums = RequestSums(
            event.kind, event.method, event.route, status, seconds, event.queries, event.query_seconds, False
        )
        emit(RequestsEnded([sums], tally.lines()))
    _tell_each(event)
    return event


def _tell_each(event: RequestEnded) -> None:
    emit(event)
    if _judge is not None:
        _judge(event)
