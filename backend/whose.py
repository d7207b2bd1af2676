"""Which request is at work in this thread? A block watched inside of a request belongs to it.

Knows nothing of Flask. If this is wrong, a log line or a statement carries the name of another request.
"""

from __future__ import annotations

from .monitor import current
from .query_log import QueryLog


def request_of(watched: QueryLog | None) -> QueryLog | None:
    """Return the log of the request that a log is part of; None when it is part of none."""
    while watched is not None and watched.kind != "request":
        watched = watched.outer
    return watched


def current_request() -> QueryLog | None:
    """Return the log of the request that runs in this thread."""
    return request_of(current())
