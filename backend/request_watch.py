"""Each request's queries, from its first to its last: WSGI middleware around the app.

It gives the request an id, which the front may have given already, opens its log, and closes it when the body was
sent. The route is filled in by the extension once Flask has found it.
Knows WSGI, not Flask. If this is wrong, one request's queries are counted as another's.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from . import monitor, request_end
from .events import RequestEnded
from .query_log import QueryLog

ID_HEADER, ID_KEY, LOG_KEY = "X-Request-ID", "harden.request_id", "harden.query_log"
Counted = Callable[[QueryLog, list[tuple[str, str]]], list[tuple[str, str]]]
_ids: Iterator[int] = iter(())
_ids_of = -1  # a forked child counts from a start of its own
_FIT = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class RequestWatch:
    """WSGI middleware that watches each request.

    Args:
        app: the WSGI application behind.
        streamed: the key in the WSGI environment that says that the body is sent bit by bit.
        counted: given the log and the headers that are about to be sent, returns the headers to send.
        judged: told of the request once it is over and nothing has failed; what it raises is raised from here,
            or from the end of a streamed body.
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]], streamed: str, counted: Counted | None = None,
        judged: Callable[[RequestEnded | None], None] | None = None,
    ) -> None:  # fmt: skip
        self._app, self._streamed, self._counted, self._judged = app, streamed, counted, judged

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request_id = id_of(environ)
        environ[ID_KEY] = request_id
        watched = _kind_within(monitor.current())("request", environ.get("REQUEST_METHOD", ""), "", request_id)
        if "HTTP_TRACEPARENT" in environ:
            watched.traceparent = environ["HTTP_TRACEPARENT"]
        environ[LOG_KEY] = watched
        status = [500]

        def started(line: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            status[0] = int(line[:3])
            headers = [*headers, (ID_HEADER, request_id)]
            if self._counted is not None:
                headers = self._counted(watched, headers)
            return start_response(line, headers, *args)

        monitor.begin(watched)
        try:
            body = self._app(environ, started)
        except BaseException:
            request_end.end(watched, 500)
            raise
        if environ.get(self._streamed):
            monitor.at_work.set(watched.outer)
            return _Watched(body, watched, partial(self._end, watched, status))
        try:
            self._end(watched, status)
        except BaseException:
            if hasattr(body, "close"):
                body.close()
            raise
        return body

    def _end(self, watched: QueryLog, status: list[int]) -> None:
        ended = request_end.end(watched, status[0])
        if self._judged is not None and status[0] < 500:  # what made it a 500 matters more
            self._judged(ended)


def _kind_within(around: QueryLog | None) -> type[QueryLog]:
    """Return the class of log for a request: that of the block around it, such as a test's."""
    return QueryLog if around is None or around.kind == "request" else type(around)


class _Watched:
    """A streamed body; the request's log ends with it.

    The log is at work while the body is, and not between its parts: who reads it may ask other things meanwhile,
    as a test does, and may do so in another thread.
    """

    def __init__(self, body: Iterable[bytes], watched: QueryLog, ended: Callable[[], None]) -> None:
        self._body, self._parts, self._log, self._ended = body, iter(body), watched, ended

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> bytes:
        around = monitor.current()
        monitor.at_work.set(self._log)
        try:
            return next(self._parts)
        finally:
            monitor.at_work.set(around)

    def close(self) -> None:
        """Close the body, then the log."""
        ended, self._ended = self._ended, _nothing
        around = monitor.current()
        monitor.at_work.set(self._log)
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            try:
                ended()
            finally:
                monitor.at_work.set(around)


def _nothing() -> None:
    return None


def id_of(environ: dict[str, Any]) -> str:
    """Return the id that the front gave a request, where it can stand in a log and a header; else a new one."""
    sent = environ.get("HTTP_X_REQUEST_ID")
    return sent if sent and _FIT.fullmatch(sent) else _made_id()


def _made_id() -> str:
    """Return 16 hexadecimal digits: random for the process, then counted; the system is not asked each time."""
    global _ids, _ids_of
    if _ids_of != os.getpid():
        _ids_of, _ids = os.getpid(), itertools.count(secrets.randbits(63))
    return f"{next(_ids) & 0xFFFFFFFFFFFFFFFF:016x}"
