"""`Hardening(app)`: the pool, the end of each request's leases, and health endpoints for one Flask app.

    app = Flask(__name__)
    Hardening(app)                     # or Hardening().init_app(app) in a factory

Nothing about the app is stored here. Second use on the same app is an error, not a second pool.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from functools import partial
from typing import Any

from flask import (
    Flask,
    Response,
    current_app,
    g,
    got_request_exception,
    has_app_context,
    has_request_context,
    request,
)
from flask.logging import default_handler
from werkzeug.exceptions import BadRequest, ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wsgi import ClosingIterator

from . import scope, sqlite_guard, startup, tracing, watch
from .callsite import add_app_folder
from .cursors import set_app_keys
from .database_helper import open_pool
from .endpoints import Front, HealthEndpoints
from .errors import (
    OneTimeRefused,
    OneTimeUnavailable,
    PageError,
    PoolTimeout,
    PoolTooBusy,
    SettingsError,
)
from .ops import with_ops
from .page_routes import keys_of_app, refuse_page
from .query_header import with_counts
from .request_watch import RequestWatch
from .settings import Settings, load
from .summed_log import SummedLog
from .trusted_hosts import trust_hosts
from .whose import current_request

KEY = "harden_psycopg2"
SCOPES, STREAMED = "harden.scopes", "harden.streamed"  # in the WSGI environment of a request
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
    """Give an app request scopes, 503 for "no connection free", 400 for a page that cannot be, health, proxies.

    The pool is the caller's business.
    """
    _refuse_twice(app)
    app.extensions[KEY] = settings
    scope.set_provider(_request_scope)
    # Both lists run last registered first, and ours must come after the app's own: its teardown may still
    # commit or close what it kept in `g`.
    app.teardown_appcontext_funcs.insert(0, _end_context)
    app.after_request_funcs.setdefault(None, []).insert(0, _note_answer)
    with suppress(RuntimeError):  # Flask below 2.3 without blinker
        got_request_exception.connect(_note_route, app)  # what is raised out of the app has no answer
    watch.start(settings)
    startup.start(settings)
    sqlite_guard.start(settings, app.config)
    if settings["HARDEN_LOG_FORMAT"]:
        app.logger.removeHandler(default_handler)  # or each line of the app's would come twice
    add_app_folder(app.root_path)
    scopes = RequestScopes(app.wsgi_app)
    watched = RequestWatch(scopes, STREAMED, counting(settings), watch.judging(settings))
    app.wsgi_app = watched  # type: ignore[method-assign]
    for error in (PoolTimeout, PoolTooBusy, OneTimeUnavailable):
        app.register_error_handler(error, _say_unavailable)
    app.register_error_handler(OneTimeRefused, _say_begin_anew)
    app.register_error_handler(PageError, refuse_page)
    set_app_keys(keys_of_app)
    if settings["HARDEN_HOSTS"]:
        trust_hosts(app, re.split(r"[\s,]+", settings["HARDEN_HOSTS"]))
    proxies = settings["HARDEN_PROXIES"]
    if proxies:
        fixed = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)
        app.wsgi_app = fixed  # type: ignore[method-assign]
    ops = with_ops(app.wsgi_app, settings)
    endpoints = HealthEndpoints(ops, settings["HARDEN_OPS_TOKEN"], partial(_has_route, app))
    app.wsgi_app = Front(app.wsgi_app, endpoints)  # type: ignore[method-assign]
    tracing.start(app, settings)


def _has_route(app: Flask, path: str) -> bool:
    return any(rule.rule == path for rule in app.url_map.iter_rules())


def counting(settings: Settings) -> Any:
    """Return what tells developers of a request's queries in its headers; None in production."""
    is_told = settings.environment in ("development", "test")
    return partial(with_counts, settings["DB_REPEAT_LIMIT"]) if is_told else None


def _refuse_twice(app: Flask) -> None:
    if KEY in app.extensions:
        raise SettingsError(["this app is hardened already; call Hardening(app) once per app"])


def _say_unavailable(error: Exception) -> Any:
    """Answer 503 when no connection was free: a balancer asks again elsewhere, a 500 would page somebody.

    The app's own handlers for HTTP errors shape the answer; its text never carries the pool's figures.
    """
    _exhaustion.warning(str(error))
    return current_app.handle_http_exception(ServiceUnavailable(retry_after=1))


def _say_begin_anew(error: Exception) -> Any:
    """Answer 400 to a one-time secret that is not good; its text does not say why."""
    return current_app.handle_http_exception(BadRequest(str(error)))


def _request_scope() -> scope.Scope | None:
    if not has_app_context():
        return None
    kept = g._get_current_object()
    scopes = _scopes_of_request()
    current: scope.Scope | None
    # An app context pushed when the app was imported lends its `g` to one request after another: what is in
    # there is this request's only if it is among the scopes that this request will end.
    current, its = kept.get("_harden_served", (None, ()))
    if current is not None and (scopes is None or scopes is its) and any(each is current for each in its):
        return current  # also in the app's own teardown, where there is no request any more
    if scopes is None:
        current = kept.get("_harden_scope")
        if current is None:
            current = kept._harden_scope = scope.Scope()
            current.is_of_request = False
        return current
    current = scope.Scope()
    scopes.append(current)
    kept._harden_served = current, scopes
    return current


def _scopes_of_request() -> list[scope.Scope] | None:
    """Return the list of the request that came in through `RequestScopes`; None where none did."""
    return request.environ.get(SCOPES) if has_request_context() else None


def _note_answer(response: Response) -> Response:
    """Remember the route, and that the body is sent bit by bit: its cursor may belong to one of the leases."""
    _note_route()
    if not response.is_streamed or response.direct_passthrough:
        return response
    # Only what succeeded: werkzeug makes iterators of its own error pages as well.
    has_body = request.method != "HEAD" and 200 <= response.status_code < 300 and response.status_code != 204
    if has_body and _scopes_of_request() is not None:
        request.environ[STREAMED] = True
    return response


def _note_route(*_: Any, **__: Any) -> None:
    """Remember the URL rule: Flask takes it out of the WSGI environment before the request is over."""
    watched = current_request()
    # The log keeps what it finds when it is asked; it finds nothing in an environment that somebody has copied.
    if watched is not None and not watched.route and request.url_rule is not None:
        watched.route = request.url_rule.rule


def _end_context(_: BaseException | None) -> None:
    """Let go of what `g` holds; without a request around it, end the scope as well.

    The last teardown function of all. Flask's contexts are cyclic garbage, so what hangs on `g` would stay
    until the collector comes by, and its connections with it.
    """
    kept = g._get_current_object()
    current: scope.Scope | None = kept.pop("_harden_scope", None)
    if current is not None:
        current.end()
    if kept.pop("_harden_served", None) is not None:  # the request's own context is gone already
        vars(kept).clear()


class RequestScopes:
    """WSGI middleware that ends a request's leases once Flask has let go of it: what `g` held is let go too.

    The leases of a streamed body end with the body.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        scopes: list[scope.Scope] = []
        environ[SCOPES] = scopes
        try:
            body = self._app(environ, start_response)
        except BaseException:
            _end(scopes)
            raise
        if environ.get(STREAMED):
            return ClosingIterator(body, [partial(_end, scopes)])
        _end(scopes)
        return body


def _end(scopes: list[scope.Scope]) -> None:
    for each in scopes:
        each.end()
    scopes.clear()  # a `g` that outlives the request finds its scope here no more
