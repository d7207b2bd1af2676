"""Log lines with the id and the route of the request they belong to, as text or as JSON, one record a line.

What comes from outside cannot forge a line: line breaks and control characters are escaped, and what continues a
record, such as a stack trace, is indented. Fits the app's own handlers as well:

    handler.addFilter(RequestFilter())
    handler.setFormatter(JsonLines())

Knows no Flask and touches no handler. If this is wrong, a line in the log belongs to another request.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .whose import current_request

MOST_ITEMS = 50  # of a list in an event
LONGEST_SHOWN = 10_000  # characters of what is no plain data
_TRACE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
# Control characters of both kinds, what else breaks lines, half characters, what changes the direction of text.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_WORD = re.compile(r"(?<!^)(?=[A-Z])")
_NO_EVENT = object()


class RequestFilter(logging.Filter):
    """Lets every record pass, and gives it `request_id`, `route` and `trace_id`; "" outside of a request.

    It belongs to a handler, not to a logger: filters of a logger do not see what its children say. What a record
    brings along in `extra` stays as it is.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is not there yet."""
        request = current_request()
        known = vars(record)
        known.setdefault("request_id", request.request_id if request is not None else "")
        if "route" not in known:
            route = getattr(known.get("event"), "route", "")
            record.route = route or (request.route if request is not None else "")
        known.setdefault("trace_id", trace_id(request.traceparent) if request is not None else "")
        return True


def trace_id(traceparent: str) -> str:
    """Return the trace of a W3C `traceparent` header; "" when it is none."""
    found = _TRACE.fullmatch(traceparent) if len(traceparent) < 200 else None
    return found[1] if found else ""


def escaped(text: str) -> str:
    """Return a text that stands on one line: what would break it is written as Python would."""
    return _UNFIT.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class TextLines(logging.Formatter):
    """Lines such as `2026-03-01T08:15:00.123Z WARNING shop.views [4f1c...] no such user`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line; a stack trace follows on lines of its own, indented."""
        request_id = getattr(record, "request_id", "")
        mark = f" [{escaped(str(request_id))}]" if request_id else ""
        who = f"{moment(record.created)} {record.levelname} {escaped(record.name)}{mark}"
        head = f"{who} {escaped(_message(record))}"
        more = _trace(self, record)
        return "\n".join([head, *(f"    {escaped(line)}" for line in more.split("\n"))]) if more else head


class JsonLines(logging.Formatter):
    """One JSON object a line, all of it ASCII: time, level, logger, message, and what else there is to say."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        line: dict[str, Any] = {
            "time": moment(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        for name in ("request_id", "route", "trace_id"):
            if value := getattr(record, name, ""):
                line[name] = str(value)
        event = getattr(record, "event", _NO_EVENT)
        if event is not _NO_EVENT:
            line["event"] = event_fields(event)
        if trace := _trace(self, record):
            line["exception"] = trace
        try:
            return json.dumps(line, default=_shown, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError):  # an app's event that JSON has no words for, such as NaN
            line["event"] = _shown(line.get("event"))
            return json.dumps(line, default=_shown, separators=(",", ":"))


def moment(seconds: float) -> str:
    """Return seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_fields(event: Any) -> Any:
    """Return an event of the kit's as plain data, with its kind: `SlowQuery` is `slow_query`."""
    plain = _plain(event)
    if isinstance(plain, dict) and not isinstance(event, Mapping):
        return {"kind": _WORD.sub("_", type(event).__name__).lower(), **plain}
    return plain


def _plain(value: Any) -> Any:
    """Return plain data; what can be called is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
    elif hasattr(value, "_fields"):
        names = list(value._fields)
    elif isinstance(value, (list, tuple)):
        return [_plain(each) for each in value[:MOST_ITEMS]]
    else:
        return value
    found = {name: getattr(value, name) for name in names}
    return {name: _plain(each) for name, each in found.items() if not callable(each)}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # wrong arguments: the line itself is worth more than that
        return f"{record.msg} (its arguments do not fit: {type(error).__name__})"


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


def _shown(value: Any) -> str:
    try:
        return str(value)[:LONGEST_SHOWN]
    except Exception as error:
        return f"<{type(value).__name__}: {type(error).__name__}>"
