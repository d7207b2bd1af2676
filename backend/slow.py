"""Slow queries: reported as they happen, with the line that ran them; one log line each, the rest summed up.

A statement that the server's statement_timeout ended is called that, and so are a cancel, a lock timeout and a
deadlock. Values of parameters stay out unless DB_QUERY_VALUES is on. A plan is asked for by explain.py, which
hangs itself in here as `explainer`.
Knows neither Flask nor pools. If this is wrong, nobody hears of slow queries; the queries themselves go on.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from . import events, monitor
from .callsite import app_stack, file_and_line, site_of_code
from .events import SlowQuery
from .fingerprint import LONGEST, Statement, statement_of
from .lines import Call, rendered
from .query_log import QueryLog
from .settings import Settings
from .shown_values import handles_secrets, shown_values
from .slow_table import Due, SlowTable
from .whose import request_of

log = logging.getLogger(__name__)
SHOWN = 500  # characters of a statement in a log line
CANCELLED, LOCK_TIMEOUT, DEADLOCK = "57014", "55P03", "40P01"
_ENDINGS = {
    CANCELLED: "query cancelled after", LOCK_TIMEOUT: "lock not granted after", DEADLOCK: "deadlock after",
}  # fmt: skip
_TIMEOUT = re.compile(r"statement_timeout\s*=\s*(\d+)\s*(ms|s|min)?(?!\w)")
_SECONDS = {None: 0.001, "ms": 0.001, "s": 1.0, "min": 60.0}
# Set by explain.py: asks for the plan of a cursor's last statement; returns what to call for it later.
explainer: Callable[[Any, Statement], Callable[[], str | None] | None] | None = None
NOTHING_HELD = Due()
_table = SlowTable()
_limit = 0.1  # seconds
_shows_values = False


def start(settings: Settings) -> None:
    """Report slow queries from now on, unless the settings say 0."""
    global _limit, _shows_values
    _limit = settings["DB_SLOW_QUERY_MS"] / 1000
    _shows_values = settings["DB_QUERY_VALUES"]
    if not _limit:
        stop()
        return
    events.listen(SlowQuery, _log)
    monitor.report_slow(_limit, tell)


def stop() -> None:
    """Report none."""
    monitor.report_slow(float("inf"), None)
    events.unlisten(SlowQuery, _log)


def groups(most: int = 100) -> list[dict[str, Any]]:
    """Return the statements of this worker with the most time in slow runs, as plain data.

    Each has the fields of `slow_table.SlowGroup` that are public: statement (id, text, summary, kind), count,
    seconds, slowest, timeouts, failed, site, routes, last.

    Args:
        most: how many.
    """
    return _table.top(most)


def clear() -> None:
    """Forget the slow queries so far."""
    _table.clear()


def tell(
    cursor: Any, query: Any, values: Any, taken: float, frame: FrameType, watched: QueryLog | None,
    error: BaseException | None,
) -> None:  # fmt: skip
    """Report a query, in its thread, right after it.

    Args:
        cursor: what it ran on.
        query: the statement as the app gave it, or a `Call`.
        values: its parameters.
        taken: seconds.
        frame: the app's.
        watched: the request's log.
        error: what it ended in.
    """
    text, is_plain = _text(query)
    statement = statement_of(text)
    request = request_of(watched)
    site = site_of_code(frame.f_code, frame.f_lasti)
    sqlstate = _sqlstate(error)
    events.emit(SlowQuery(
        statement, site, taken, cursor.rowcount,
        route=(watched.route if watched is not None else "") or (request.route if request is not None else ""),
        request_id=request.request_id if request is not None else "",
        sqlstate=sqlstate, is_timeout=_is_timeout(cursor, sqlstate, error, taken),
        values=_values(text, values), explain=_explain(cursor, statement, sqlstate) if is_plain else None,
        caller=_caller(frame, site, request),
    ))  # fmt: skip


def _caller(frame: FrameType, site: str, request: QueryLog | None) -> str:
    """Return who called a line in another file: of a helper such as `db.query` the line alone says little."""
    if request is not None and site.endswith(f" in {request.function.rpartition('.')[2]}"):
        return ""  # the view itself; its callers are decorators
    here = file_and_line(site)[0]
    return next((outer for outer in app_stack(frame) if file_and_line(outer)[0] != here), "")


def _text(query: Any) -> tuple[str | bytes, bool]:
    """Return a statement's text, and whether it went through `execute`."""
    if isinstance(query, Call):
        return _text(query[1])[0], False
    return (query if isinstance(query, (str, bytes)) else rendered(query))[:LONGEST], True


def _sqlstate(error: BaseException | None) -> str:
    """Return the server's code; for what ended without one a code that says "unknown"."""
    return "" if error is None else getattr(error, "pgcode", None) or "XXUUU"


def _is_timeout(cursor: Any, sqlstate: str, error: BaseException | None, taken: float) -> bool:
    """Tell a statement_timeout from a cancel: both have one code, only the message tells them apart."""
    if sqlstate != CANCELLED:
        return False
    said = getattr(getattr(error, "diag", None), "message_primary", None) or ""
    if said.startswith("canceling"):
        return "statement timeout" in said
    return 0 < _timeout_of(cursor.connection) <= taken  # the server speaks another language


def _timeout_of(conn: Any) -> float:
    """Return the statement_timeout that a connection was opened with, in seconds; 0 when it names none."""
    found = _TIMEOUT.search(conn.info.dsn_parameters.get("options") or "")
    return int(found[1]) * _SECONDS[found[2]] if found else 0.0


def _values(text: str | bytes, values: Any) -> str | None:
    if not _shows_values or not values:
        return None
    return "withheld, for the statement names a secret" if handles_secrets(text) else shown_values(values)


def _explain(cursor: Any, statement: Statement, sqlstate: str) -> Callable[[], str | None] | None:
    if explainer is None or sqlstate not in ("", CANCELLED) or cursor.name is not None:
        return None
    return explainer(cursor, statement)


def _log(found: SlowQuery) -> None:
    due = _table.add(found, time.monotonic())
    if due is not None:
        log.warning("%s", message(found, due), extra={"request_id": found.request_id, "event": found})


def message(found: SlowQuery, due: Due = NOTHING_HELD) -> str:
    """Return a report as one line.

    Args:
        found: the query.
        due: what was not logged since the last line.
    """
    caller = f", called from {found.caller}" if found.caller else ""
    rows = f", {found.rows} rows" if found.rows >= 0 and not found.sqlstate else ""
    route = f", route {found.route}" if found.route else ""
    more = f"; {due.held_back} more since the last line, {due.held_seconds:.2f} s" if due.held_back else ""
    more += f"; {due.others} slow queries of other statements were not logged" if due.others else ""
    values = f"; values: {found.values}" if found.values is not None else ""
    plan = found.explain() if found.explain is not None else None
    shown = f"; plan: {'; '.join(line.strip() for line in plan.splitlines())}" if plan else ""
    return (
        f"{_what(found)} (limit {_shown(_limit)}) at {found.site}{caller}{route}{rows}: "
        f"{_short(found.statement.text)}{values}{more}{shown}"
    )


def _what(found: SlowQuery) -> str:
    if found.is_timeout:
        return f"statement_timeout ended a query after {_shown(found.seconds)} s"
    if found.sqlstate in _ENDINGS:
        return f"{_ENDINGS[found.sqlstate]} {_shown(found.seconds)} s"
    return f"slow query: {_shown(found.seconds)} s{' until its error ' + found.sqlstate if found.sqlstate else ''}"


def _shown(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds >= 0.01 else f"{seconds:.4f}"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
