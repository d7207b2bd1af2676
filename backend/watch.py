"""Switches the watching of queries on and off for this process: what `Hardening` and `harden up` do.

Everything here can be called twice. If this is wrong, nobody is told of slow and repeated queries.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from . import (
    connection,
    events,
    explain,
    log_end,
    log_setup,
    metrics,
    monitor,
    ops_publish,
    request_end,
    slow,
    sql_comments,
)
from .errors import RepeatsError
from .events import Repeats, RequestEnded, RequestsEnded
from .query_table import query_table
from .repeats import message, repeats_of
from .settings import Settings

log = logging.getLogger(__name__)
AGAIN_AFTER = 60.0  # seconds until the same repeats are logged again
MOST_LOGGED = 1000
_lock = threading.Lock()
_logged: dict[tuple[str, ...], tuple[float, int]] = {}
_limit = 5
_raises = False


def start(settings: Settings) -> None:
    """Watch every query of the kit's connections from now on."""
    global _limit, _raises
    _limit, _raises = settings["DB_REPEAT_LIMIT"], settings["DB_REPEATS"] == "raise"
    watch_cursors()
    events.listen(RequestsEnded, query_table.add)
    log_end.judge(_limit, _look_for_repeats if _limit else None)
    if _limit:
        events.listen(Repeats, _log_repeats)
    slow.start(settings)
    explain.start(settings)
    sql_comments.start(settings)
    if settings["HARDEN_METRICS"]:
        metrics.start(settings)
        ops_publish.start(settings)
        if settings.environment == "production" and not _raises and metrics.current is not None:
            request_end.batch(metrics.current.recorder.request)
    log_setup.configure(settings["HARDEN_LOG_FORMAT"])


def watch_cursors() -> None:
    """Have the cursors of all leases monitored; what they ask goes nowhere until a log is at work."""
    connection.monitored = monitor.cursor_of


def stop() -> None:
    """Watch no more."""
    connection.monitored = None
    events.unlisten(RequestsEnded, query_table.add)
    log_end.judge(0, None)
    events.unlisten(Repeats, _log_repeats)
    request_end.batch(None)
    metrics.stop()
    ops_publish.stop()
    slow.stop()
    explain.stop()
    log_setup.configure(None)
    monitor.tag_statements(None)


def judging(settings: Settings) -> Callable[[RequestEnded | None], None] | None:
    """Return what is to judge each request; None where nothing is to be raised."""
    return raise_repeats if settings["DB_REPEATS"] == "raise" else None


def raise_repeats(ended: RequestEnded | None) -> None:
    """Raise what a request repeated, where the settings want it: tests.

    Raises:
        RepeatsError: it did.
    """
    found = repeats_of(ended, _limit) if _raises and ended is not None and _limit else []
    if found:
        raise RepeatsError(message(found[0]), found)


def _look_for_repeats(ended: RequestEnded) -> None:
    if ended.queries <= _limit and all(group.method != "executemany" for group in ended.groups):
        return
    for found in repeats_of(ended, _limit):
        events.emit(found)


def _log_repeats(found: Repeats) -> None:
    key = (found.route, *sorted(line.site for line in found.lines))
    now = time.monotonic()
    with _lock:
        last, held_back = _logged.get(key, (float("-inf"), 0))
        if now - last < AGAIN_AFTER:
            _logged[key] = last, held_back + 1
            return
        if len(_logged) >= MOST_LOGGED:
            _logged.clear()
        _logged[key] = now, 0
    more = f" ({held_back} more requests like it since the last line)" if held_back else ""
    log.warning("%s%s", message(found), more, extra={"request_id": found.request_id, "event": found})
