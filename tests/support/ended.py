"""What listeners of requests are told, made from made-up queries."""

from __future__ import annotations

from backend import log_end
from backend.events import QueryGroup, RequestEnded, RequestsEnded, RequestSums
from backend.lines import Line
from backend.query_group import Group
from backend.tally import Tally


def requests_ended(*events: RequestEnded) -> RequestsEnded:
    """Return the sums of some requests, as `log_end` makes them."""
    tally, requests = Tally(), []
    for event in events:
        tally.add_groups([_group(each) for each in event.groups], event.route)
        requests.append(RequestSums(*(getattr(event, name) for name in RequestSums._fields)))
    return RequestsEnded(requests, tally.lines())


def _group(told: QueryGroup) -> Group:
    line = Line(told.statement, _group.__code__, 0, told.method)
    line.site, line.place = told.site, hash((told.statement.id, told.site, told.method))
    group = Group(line)
    group.durations, group.rows, group.errors = list(told.durations), told.rows, told.errors
    group._past_count = told.count - len(told.durations)
    group._past_seconds, group._past_slowest = told.seconds - sum(told.durations), told.slowest
    return group


def tell(event: RequestEnded) -> None:
    """Tell everybody who listens to each request, and who judges it, of one."""
    log_end._tell_each(event)
