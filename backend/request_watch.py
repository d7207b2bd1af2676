"""Each request's queries, from its first to its last: WSGI middleware around the app.

It gives the request an id, which the front may have given already, opens its log, and closes it when the body was
sent. The route is filled in by the extension once Flask has found it.
Knows WSGI, not Flask. If this is wrong, one request's queries are counted as another's.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from . import monitor
from .query_log import QueryLog

ID_HEADER, ID_KEY, LOG_KEY = "X-Request-ID", "harden.request_id", "harden.query_log"
_FIT = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class RequestWatch:
    """WSGI middleware that watches each request.

    Args:
        app: the WSGI application behind.
        streamed: the key in the WSGI environment that says that the body is sent bit by bit.
        counted: called with the environment and the log when the headers are about to be sent; returns headers
            to add. None adds none.
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]], streamed: str,
        counted: Callable[[dict[str, Any], QueryLog], list[tuple[str, str]]] | None = None,
    ) -> None:  # fmt: skip
        self._app, self._streamed, self._counted = app, streamed, counted

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request_id = id_of(environ)
        environ[ID_KEY] = request_id
        watched = QueryLog("request", environ.get("REQUEST_METHOD", ""), "", request_id)
        watched.traceparent = environ.get("HTTP_TRACEPARENT", "")
        environ[LOG_KEY] = watched
        status = [500]

        def started(line: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            status[0] = int(line[:3])
            headers = [*headers, (ID_HEADER, request_id)]
            if self._counted is not None:
                headers += self._counted(environ, watched)
            return start_response(line, headers, *args)

        monitor.begin(watched)
        try:
            body = self._app(environ, started)
        except BaseException:
            monitor.end(watched, 500)
            raise
        if environ.get(self._streamed):
            return _Watched(body, partial(_end, watched, status))
        monitor.end(watched, status[0])
        return body


def _end(watched: QueryLog, status: list[int]) -> None:
    monitor.end(watched, status[0])


class _Watched:
    """A streamed body; the request's log ends with it."""

    def __init__(self, body: Iterable[bytes], ended: Callable[[], None]) -> None:
        self._body, self._parts, self._ended = body, iter(body), ended

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def close(self) -> None:
        """Close the body, then the log."""
        ended, self._ended = self._ended, _nothing
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            ended()


def _nothing() -> None:
    return None


def id_of(environ: dict[str, Any]) -> str:
    """Return the id that the front gave a request, where it can stand in a log and a header; else a new one."""
    sent = environ.get("HTTP_X_REQUEST_ID", "")
    return sent if _FIT.fullmatch(sent) else secrets.token_hex(8)
