"""The end of a request: what must not be lost is counted at once, the rest a few requests at a time.

After a request the processor's caches are cold, and working out its groups and telling all who listen would cost a
multiple of what it costs for sixteen requests in a row. So a busy worker keeps what is over for a tenth of a
second, while it has requests; the metrics' thread comes by once a second. Killed in between, a worker loses what
its last requests asked, statement by statement; requests, their time and how many queries they made are counted.
Knows WSGI's statuses, not Flask. If this is wrong, requests go missing from logs and figures.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from . import monitor
from .events import RequestEnded
from .query_log import QueryLog

BATCH = 16  # requests told of in one go
PATIENCE = 0.1  # seconds that what is over waits for company, while requests come in
_over: deque[tuple[QueryLog, int, float, bool]] = deque()
_telling = threading.Lock()  # held by who empties the queue; nobody waits for it
_last = float("-inf")
_batches = False
_count: Callable[[QueryLog, int, float], None] | None = None


def batch(count: Callable[[QueryLog, int, float], None] | None) -> None:
    """Have requests told of a few at a time; each at once when `count` is None.

    Args:
        count: called at the end of each request with its log, status and seconds, for what must not be lost.
    """
    global _batches, _count
    flush()
    _batches, _count = count is not None, count


def end(watched: QueryLog, status: int) -> RequestEnded | None:
    """End a request.

    Returns:
        what listeners were told; None when they will be told later, or nobody listens.
    """
    global _last
    if not _batches or watched.outer is not None:  # a test's block around it wants to know now
        return monitor.end(watched, status)
    if monitor.current() is watched:
        monitor.at_work.set(None)
    now = time.perf_counter()
    seconds = now - watched.started
    is_counted = _counted(watched, status, seconds)
    _over.append((watched, status, seconds, is_counted))
    if len(_over) >= BATCH or now - _last > PATIENCE:
        _last = now
        flush()
    return None


def _counted(watched: QueryLog, status: int, seconds: float) -> bool:
    try:
        if _count is not None:
            _count(watched, status, seconds)
            return True
    except Exception as failure:
        monitor.say(failure)
    return False


def flush() -> None:
    """Tell listeners of all requests that are over. Whoever comes while somebody does goes on."""
    if not _telling.acquire(blocking=False):
        return
    try:
        while _over:
            watched, status, seconds, is_counted = _over.popleft()
            monitor.tell(watched, status, seconds, is_counted=is_counted)
    finally:
        _telling.release()
