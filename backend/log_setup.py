"""Puts one handler on stderr, in the format that HARDEN_LOG_FORMAT names; all other handlers are the app's.

Those of Gunicorn that it made itself get the same format, so that one program can read the errors of workers as
well. If this is wrong, the app's log is lost, or each line comes twice.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

from .log_format import JsonLines, RequestFilter, TextLines

FORMATS = {"text": TextLines, "json": JsonLines}
_dressed: list[tuple[logging.Handler, logging.Formatter | None, RequestFilter]] = []


if TYPE_CHECKING:
    Base = logging.StreamHandler[TextIO]
else:  # Python 3.10 knows no parameter of it
    Base = logging.StreamHandler


class StderrHandler(Base):
    """Writes to what `sys.stderr` is at that moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """What to write to."""
        return sys.stderr

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        pass  # it is never another one

    def handleError(self, record: logging.LogRecord) -> None:
        """Lose the line: a full disk or a closed pipe is no reason to write more, or to fail a request."""


def configure(form: str | None) -> None:
    """Write the log to stderr; called again, in another format or no more.

    Args:
        form: "text", "json", or None, which takes away what was set up here.
    """
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, StderrHandler)]:
        root.removeHandler(handler)
    while _dressed:
        _undress(*_dressed.pop())
    if form is None:
        return
    formatter = FORMATS[form]()
    handler = StderrHandler()
    handler.addFilter(RequestFilter())
    handler.setFormatter(formatter)
    root.addHandler(handler)
    for theirs in logging.getLogger("gunicorn.error").handlers:
        if _is_gunicorns(theirs):
            _dress(theirs, formatter)


def _is_gunicorns(handler: Any) -> bool:
    """Tell whether Gunicorn made a handler itself, from its options and not from a logging configuration."""
    return bool(getattr(handler, "_gunicorn", False))


def _dress(handler: logging.Handler, formatter: logging.Formatter) -> None:
    added = RequestFilter()
    _dressed.append((handler, handler.formatter, added))
    handler.addFilter(added)
    handler.setFormatter(formatter)


def _undress(handler: logging.Handler, formatter: logging.Formatter | None, added: RequestFilter) -> None:
    handler.removeFilter(added)
    handler.setFormatter(formatter)
