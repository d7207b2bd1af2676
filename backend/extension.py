"""`Hardening(app)`: the pool, the end of each request's leases, and health endpoints for one Flask app.

    app = Flask(__name__)
    Hardening(app)                     # or Hardening().init_app(app) in a factory

Nothing about the app is stored here. Second use on the same app is an error, not a second pool.
"""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, Response, current_app, g, has_app_context, request
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix

from . import scope
from .database_helper import open_pool
from .endpoints import HealthEndpoints
from .errors import PoolTimeout, PoolTooBusy, SettingsError
from .repeats import SummedLog
from .settings import Settings, load

KEY = "harden_psycopg2"
_exhaustion = SummedLog(logging.getLogger(__name__))


class Hardening:
    """The kit for one Flask app.

    Args:
        app: the app; None to call `init_app` later.
        **settings: settings by name, above `app.config` and the environment.

    Raises:
        SettingsError: a setting is wrong, or DATABASE_URL is missing.
    """

    def __init__(self, app: Flask | None = None, **settings: Any) -> None:
        self._keywords = settings
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set the app up: a pool for its DATABASE_URL, request scopes, health endpoints, proxy headers."""
        settings = load(keywords=self._keywords, config=app.config)
        _refuse_twice(app)  # first of all: it must not cost the app the pool that it has
        open_pool(settings)
        harden_app(app, settings)


def harden_app(app: Flask, settings: Settings) -> None:
    """Give an app request scopes, 503 for "no connection free", health endpoints, proxy handling.

    The pool is the caller's business.
    """
    _refuse_twice(app)
    app.extensions[KEY] = settings
    scope.set_provider(_request_scope)
    # Teardown functions run last registered first. Ours must run after the app's own, which may still
    # commit or close what it kept in `g`: so it goes to the front of the list.
    app.teardown_appcontext_funcs.insert(0, _end_request_scope)
    app.after_request_funcs.setdefault(None, []).insert(0, _keep_for_stream)  # reversed as well: ours is last
    for error in (PoolTimeout, PoolTooBusy):
        app.register_error_handler(error, _say_unavailable)
    proxies = settings["HARDEN_PROXIES"]
    if proxies:
        fixed = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)
        app.wsgi_app = fixed  # type: ignore[method-assign]
    endpoints = HealthEndpoints(app.wsgi_app, settings["HARDEN_OPS_TOKEN"])
    app.wsgi_app = endpoints  # type: ignore[method-assign]


def _refuse_twice(app: Flask) -> None:
    if KEY in app.extensions:
        raise SettingsError(["this app is hardened already; call Hardening(app) once per app"])


def _say_unavailable(error: Exception) -> Any:
    """Answer 503 when no connection was free: a balancer asks again elsewhere, a 500 would page somebody.

    The app's own handlers for HTTP errors shape the answer; its text never carries the pool's figures.
    """
    _exhaustion.warning(str(error))
    return current_app.handle_http_exception(ServiceUnavailable(retry_after=1))


def _request_scope() -> scope.Scope | None:
    if not has_app_context():
        return None
    current: scope.Scope | None = g.get("_harden_scope")
    if current is None:
        current = g._harden_scope = scope.Scope()
    return current


def _keep_for_stream(response: Response) -> Response:
    """Let a body that is sent bit by bit keep the request's leases: its cursor may be one of theirs."""
    has_body = request.method != "HEAD" and response.status_code not in (204, 304)
    if response.is_streamed and has_body and not response.direct_passthrough:  # what the server will close
        current: scope.Scope | None = g.pop("_harden_scope", None)
        if current is not None:
            response.call_on_close(current.end)
    return response


def _end_request_scope(_: BaseException | None) -> None:
    current: scope.Scope | None = g.pop("_harden_scope", None)
    if current is not None:
        current.end()
