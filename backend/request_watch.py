"""Each request's queries, from its first to its last: WSGI middleware around the app.

It opens the request's log, and closes it when the body was sent. The request's id, which the front may have given,
is told in the answers that failed, by which people ask for help, and in all of them during development; a header
more costs each request some microseconds, and the front can add it for less.
Knows WSGI, not Flask. If this is wrong, one request's queries are counted as another's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from . import monitor, request_end
from .events import RequestEnded
from .query_log import QueryLog
from .request_end import in_flight

ID_HEADER = "X-Request-ID"
FAILED = "4"  # what status lines of failures begin with, or with more
Counted = Callable[[QueryLog, list[tuple[str, str]]], list[tuple[str, str]]]


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
        around = monitor.current()
        kind = QueryLog if around is None else _kind_within(around)
        watched = kind("request", environ.get("REQUEST_METHOD", ""), "", "", environ)
        counted = self._counted

        def started(line: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            watched.status = line
            if counted is not None:
                headers = [*counted(watched, headers), (ID_HEADER, watched.request_id)]
            elif line >= FAILED:
                headers = [*headers, (ID_HEADER, watched.request_id)]
            return start_response(line, headers, *args)

        watched.outer = around
        monitor.at_work.set(watched)
        key = id(watched)
        in_flight[key] = watched.started
        try:
            body = self._app(environ, started)
        except BaseException:
            in_flight.pop(key, None)
            request_end.end(watched, 500)
            raise
        if self._streamed in environ:
            monitor.at_work.set(around)
            return _Watched(body, watched, partial(self._end, watched))
        in_flight.pop(key, None)
        status = int(watched.status[:3] or 500)
        ended = request_end.end(watched, status)
        if self._judged is not None:
            try:
                self._judge(ended, status)
            except BaseException:
                if hasattr(body, "close"):
                    body.close()
                raise
        return body

    def _end(self, watched: QueryLog) -> None:
        in_flight.pop(id(watched), None)
        status = int(watched.status[:3] or 500)
        self._judge(request_end.end(watched, status), status)

    def _judge(self, ended: RequestEnded | None, status: int) -> None:
        if self._judged is not None and status < 500:  # what made it a 500 matters more
            self._judged(ended)


def _kind_within(around: QueryLog) -> type[QueryLog]:
    """Return the class of log for a request: that of the block around it, such as a test's."""
    return QueryLog if around.kind == "request" else type(around)


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
