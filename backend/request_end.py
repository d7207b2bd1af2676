"""The end of a request: what must not be lost is counted at once, the rest a few requests at a time.

After a request the processor's caches are cold, and working out its groups and telling all who listen would cost a
multiple of what it costs for many requests in a row. So a busy worker keeps what is over for a tenth of a
second, while it has requests; the metrics' thread comes by once a second. Killed in between, a worker loses what
its last requests asked, statement by statement; requests, their time and how many queries they made are counted.
Knows WSGI's statuses, not Flask. If this is wrong, requests go missing from logs and figures.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from . import log_end, monitor
from .events import RequestEnded, RequestSums
from .own_failures import say
from .query_log import QueryLog

Count = Callable[[str, str, int, float, int, float], None]
BATCH, MOST = 64, 256  # requests told of in one go, and that wait for it at most
PATIENCE = 0.1  # seconds that what is over waits for company, while requests come in
# When each request that is not over began, by a number of its own; each operation on it is atomic. Not its log:
# a body that nobody closes is collected with all that hangs on it.
in_flight: dict[int, float] = {}
_over: deque[tuple[QueryLog, int, float, int, float, bool]] = deque()
_telling = threading.Lock()  # held by who empties the queue; nobody waits for it
_last = float("-inf")
_count: Count | None = None


def batch(count: Count | None) -> None:
    """Have requests told of a few at a time; each at once when `count` is None.

    Args:
        count: called at the end of each request, for what must not be lost, with its route, method, status,
            seconds, number of queries and the seconds spent in them.
    """
    global _count
    flush()
    _count = count


def end(watched: QueryLog, status: int) -> RequestEnded | None:
    """End a request.

    Returns:
        what listeners were told; None when they will be told later.
    """
    global _last
    if _count is None or watched.outer is not None:  # a test's block around it wants to know now
        watched.settle()
        return monitor.end(watched, status)
    # Written out: each function called costs some microseconds, at the end of each request.
    monitor.at_work.set(None)
    now = time.perf_counter()
    seconds = now - watched.started
    if watched.worked is None and len(watched) == 1:
        queries, query_seconds = 1, watched[0][1]
    else:
        queries, query_seconds = watched.sums()
    route = watched.settle()
    is_counted = True
    try:
        _count(route, watched.method, status, seconds, queries, query_seconds)
    except Exception as failure:
        is_counted = False
        say(failure)
    _over.append((watched, status, seconds, queries, query_seconds, is_counted))
    waiting = len(_over)
    if waiting >= BATCH or now - _last > PATIENCE:
        _last = now
        # Requests that end faster than they can be told of wait for their turn; else they would fill the memory.
        _tell(0.0 if waiting < MOST else PATIENCE)
    return None


def flush() -> None:
    """Tell listeners of all requests that are over. Whoever comes while somebody does goes on."""
    while _over and _tell(0.0):
        pass


def _tell(patience: float) -> bool:
    """Tell of some requests; returns whether it was this thread's turn within so many seconds."""
    if not _telling.acquire(timeout=patience):
        return False
    try:
        log_end.tell(_taken())
    except Exception as failure:
        say(failure)
    finally:
        _telling.release()
    return True


def _taken() -> Iterator[tuple[QueryLog, RequestSums]]:
    for _ in range(MOST):
        if not _over:
            return
        log, status, seconds, queries, query_seconds, is_counted = _over.popleft()
        yield (
            log,
            RequestSums("request", log.method, log.route, status, seconds, queries, query_seconds, is_counted),
        )


def after_fork() -> None:
    """In a forked child: what was going on is the parent's, and so is who held the lock."""
    global _telling
    _telling = threading.Lock()
    in_flight.clear()
    _over.clear()
