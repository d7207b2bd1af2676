"""The health endpoints, in front of the app: `/livez`, `/readyz`, `/health/database/pool`.

WSGI middleware and no blueprint: the app's login guards, error pages and routes have no say in it, and
nothing is registered in an app that we were not given to change. The pool's figures are closed to the world:
they answer callers on this machine that no proxy forwarded, and callers that send the ops token.
Knows WSGI, not Flask.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from . import health, ops_access


class HealthEndpoints:
    """WSGI middleware that answers the health endpoints and passes all else on.

    Args:
        app: the WSGI application behind.
        token: what `Authorization: Bearer` must carry; None leaves loopback alone.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], token: str | None = None) -> None:
        self._app = app
        self._token = token

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path not in ("/livez", "/readyz", "/health/database/pool"):
            return self._app(environ, start_response)
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return _answer(environ, start_response, "405 Method Not Allowed", {"error": "GET only"})
        if path == "/livez":
            return _answer(environ, start_response, "200 OK", health.live())
        if path == "/readyz":
            is_ready, answer = health.ready()
            status = "200 OK" if is_ready else "503 Service Unavailable"
            return _answer(environ, start_response, status, answer)
        if not ops_access.may_see(environ, self._token):
            return _answer(environ, start_response, "404 Not Found", {"error": "not found"})
        return _answer(environ, start_response, "200 OK", health.pool_figures())


def _answer(
    environ: dict[str, Any], start_response: Callable[..., Any], status: str, data: dict[str, Any]
) -> list[bytes]:
    body = json.dumps(data).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    start_response(status, headers)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
