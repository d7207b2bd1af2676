"""The health endpoints, in front of the app: `/livez`, `/readyz`, `/health/database/pool`, `/metrics`.

WSGI middleware and no blueprint: the app's login guards, error pages and routes have no say in it, and
nothing is registered in an app that we were not given to change. Figures are closed to the world:
they answer callers on this machine that no proxy forwarded, and callers that send the ops token.
Knows WSGI, not Flask.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from . import health, metrics_page, ops_access

PATHS = frozenset({"/livez", "/readyz", "/health/database/pool", *metrics_page.PATHS})
BEGINNINGS = ("/ops", *PATHS)  # of all paths that the kit answers


class Front:
    """WSGI middleware that passes requests on to the app, all but a few by one look at their path.

    Args:
        app: the WSGI application behind.
        ours: the same with the kit's own pages in front of it.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], ours: Callable[..., Iterable[bytes]]) -> None:
        self._app, self._ours = app, ours

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(BEGINNINGS):
            return self._ours(environ, start_response)
        return self._app(environ, start_response)


class HealthEndpoints:
    """WSGI middleware that answers the health endpoints and passes all else on.

    Args:
        app: the WSGI application behind.
        token: what `Authorization: Bearer` must carry; None leaves loopback alone.
        has_route: tells whether the app has a route of its own for a path; then `/metrics` is the app's.
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]], token: str | None = None,
        has_route: Callable[[str], bool] | None = None,
    ) -> None:  # fmt: skip
        self._app = app
        self._token = token
        self._has_route = has_route

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path not in PATHS or (path in metrics_page.PATHS and not self._shows_metrics(path)):
            return self._app(environ, start_response)
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            body = json.dumps({"error": "GET only"}).encode()
            allow = ("Allow", "GET, HEAD")
            return _send(environ, start_response, "405 Method Not Allowed", "application/json", body, allow)
        if path == "/livez":
            return _answer(environ, start_response, "200 OK", health.live())
        if path == "/readyz":
            is_ready, answer = health.ready()
            status = "200 OK" if is_ready else "503 Service Unavailable"
            return _answer(environ, start_response, status, answer)
        if not ops_access.may_see(environ, self._token):
            return _answer(environ, start_response, "404 Not Found", {"error": "not found"})
        if path in metrics_page.PATHS:
            status, kind, body = metrics_page.answer(environ.get("HTTP_ACCEPT", ""))
            return _send(environ, start_response, status, kind, body)
        return _answer(environ, start_response, "200 OK", health.pool_figures())

    def _shows_metrics(self, path: str) -> bool:
        """Tell whether it is ours to answer: not with metrics off, or with a `/metrics` of the app's own."""
        is_free = path != "/metrics" or self._has_route is None or not self._has_route(path)
        return is_free and metrics_page.is_on()


def _answer(
    environ: dict[str, Any], start_response: Callable[..., Any], status: str, data: dict[str, Any]
) -> list[bytes]:
    return _send(environ, start_response, status, "application/json", json.dumps(data).encode())


def _send(
    environ: dict[str, Any], start_response: Callable[..., Any], status: str, kind: str, body: bytes,
    *more: tuple[str, str],
) -> list[bytes]:  # fmt: skip
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        *more,
    ]
    start_response(status, headers)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
