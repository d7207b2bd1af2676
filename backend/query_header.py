"""What a response tells a developer of its queries: `Server-Timing`, which browsers show, and `X-Query-Count`.

    Server-Timing: db;dur=48.2;desc="61 queries, 3 repeats", total;dur=63.0
    X-Query-Count: 61

Of a streamed body it is the count when the headers are sent. In production nobody is told.
Knows WSGI, not Flask. If this is wrong, a header is missing or misleads; the response is sent all the same.
"""

from __future__ import annotations

import logging
import time

from .query_log import QueryLog
from .repeats import repeats_of

log = logging.getLogger(__name__)
TIMING, COUNT = "Server-Timing", "X-Query-Count"
Headers = list[tuple[str, str]]
_failed: set[str] = set()


def with_counts(limit: int, watched: QueryLog, headers: Headers) -> Headers:
    """Return a response's headers with those of its queries; an existing Server-Timing goes on.

    Args:
        limit: DB_REPEAT_LIMIT.
        watched: the request's log.
        headers: what the app sends.
    """
    try:
        count, timing = _counts(limit, watched)
    except Exception as error:
        if (name := type(error).__name__) not in _failed:
            _failed.add(name)
            log.exception("the header that counts queries failed; this is logged once")
        return headers
    known = [value for name, value in headers if name.lower() == TIMING.lower()]
    kept = [(name, value) for name, value in headers if name.lower() not in (TIMING.lower(), COUNT.lower())]
    return [*kept, (TIMING, ", ".join([*known, timing])), (COUNT, str(count))]


def _counts(limit: int, watched: QueryLog) -> tuple[int, str]:
    so_far = watched.event(group.event() for group in watched.groups())
    count, seconds = so_far.queries, so_far.query_seconds
    total = (time.perf_counter() - watched.started) * 1000
    lines = sum(len(found.lines) for found in repeats_of(so_far, limit)) if limit else 0
    repeats = f", {lines} repeat{'s' * (lines != 1)}" if lines else ""
    queries = f"{count} quer{'y' if count == 1 else 'ies'}{repeats}"
    return count, f'db;dur={seconds * 1000:.1f};desc="{queries}", total;dur={total:.1f}'
