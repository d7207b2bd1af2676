"""The page `/ops/`, in front of the app: who may see it is in `ops_access.py`, what it shows in `ops_view.py`.

WSGI middleware and no blueprint, as the health endpoints are: the app's login guards, error pages and request
counts have no say in it. What the page shows is put in by its script as text; the one thing written into HTML here
is numbers. Knows WSGI, not Flask. If this is wrong, the app's own pages below `/ops/` go, and nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from . import ops_access
from .ops_bouncer import Bouncer
from .ops_publish import publisher_of
from .ops_text import as_text, summary
from .ops_view import View
from .settings import Settings
from .summed_log import SummedLog

log = logging.getLogger(__name__)
MOST_BODY = 4096  # bytes of a login
SCRIPT = "text/javascript; charset=utf-8"
STATIC = {
    "ops.css": "text/css; charset=utf-8", "ops.js": SCRIPT, "ops_dom.js": SCRIPT, "ops_parts.js": SCRIPT,
    "ops.svg": "image/svg+xml",
}  # fmt: skip
HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"
SAFE = [
    ("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
     "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
]  # fmt: skip
WRONG = "That token is not the one."
LATER = "Too many wrong tokens. Wait half a minute."
StartResponse = Callable[..., Any]
Wsgi = Callable[..., Iterable[bytes]]
Environ = dict[str, Any]


def with_ops(app: Wsgi, settings: Settings) -> Wsgi:
    """Return an app with the page in front of it; the app itself when HARDEN_METRICS is off.

    Args:
        app: the WSGI application.
        settings: all of them.
    """
    if not settings["HARDEN_METRICS"]:
        return app
    publisher = publisher_of(settings)
    dsn = settings["HARDEN_PGBOUNCER_DSN"]
    view = View(publisher, Bouncer(dsn) if dsn else None)
    page = OpsPage(view.answer, settings["HARDEN_OPS_TOKEN"], settings["HARDEN_PROXIES"])
    return OpsMiddleware(app, page)


class OpsMiddleware:
    """WSGI middleware that answers `/ops/`.

    Args:
        app: the WSGI application behind.
        page: answers what is below `/ops/`.
    """

    def __init__(self, app: Wsgi, page: OpsPage) -> None:
        self._app, self._page = app, page

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        is_ours = path.startswith("/ops") and (path == "/ops" or path[4] == "/")
        return (self._page if is_ours else self._app)(environ, start_response)


class OpsPage:
    """WSGI application for what is below `/ops/`.

    Args:
        data: returns the data as JSON.
        token: HARDEN_OPS_TOKEN; None leaves loopback alone.
        proxies: how many proxies in front are believed, for the address in the log.
    """

    def __init__(self, data: Callable[[], bytes], token: str | None = None, proxies: int = 0) -> None:
        self._data, self._token, self._proxies = data, token, proxies
        self._throttle = ops_access.Throttle()
        self._failures = SummedLog(log, every=1.0)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        status, kind, body, headers = self._answer(environ)
        always = [("Content-Type", kind), ("Content-Length", str(len(body))), *SAFE]
        start_response(status, always + headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    def _answer(self, environ: Environ) -> Answer:
        method, name = environ.get("REQUEST_METHOD"), environ.get("PATH_INFO", "")[len("/ops") :]
        may_see = ops_access.may_see(environ, self._token)
        if not may_see and not self._token:
            return _problem("404 Not Found", "not found")
        if name in ("/login", "/logout"):
            if method != "POST":
                return _problem("405 Method Not Allowed", "POST only", [("Allow", "POST")])
            return self._log_in(environ) if name == "/login" else self._log_out(environ)
        if method not in ("GET", "HEAD"):
            return _problem("405 Method Not Allowed", "GET only", [("Allow", "GET, HEAD")])
        if name == "":
            return "308 Permanent Redirect", TEXT, b"", [("Location", "ops/")]
        if not may_see and name not in ("/ops.css", "/ops.svg"):
            return self._closed(environ, name)
        return self._page(environ) if name == "/" else self._open(name)

    def _page(self, environ: Environ) -> Answer:
        page = file("ops.html").replace(b"<!-- summary -->", summary(self._data()))
        if ops_access.has_session(environ, self._token):  # who came by another way has nothing to log out of
            page = page.replace(b'action="logout" hidden', b'action="logout"')
        return "200 OK", HTML, page, []

    def _open(self, name: str) -> Answer:
        if name == "/data.json":
            return "200 OK", JSON, self._data(), []
        if name == "/data.txt":
            return "200 OK", TEXT, as_text(self._data()), []
        kind = STATIC.get(name[1:])
        return _problem("404 Not Found", "not found") if kind is None else ("200 OK", kind, file(name[1:]), [])

    def _closed(self, environ: Environ, name: str) -> Answer:
        if environ.get("HTTP_AUTHORIZATION"):
            self._note_failure(environ)
        asked = [("WWW-Authenticate", 'Bearer realm="ops"')]
        if name == "/":
            return login_page("401 Unauthorized", "", asked)
        return _problem("401 Unauthorized", "log in at /ops/, or send Authorization: Bearer TOKEN", asked)

    def _log_in(self, environ: Environ) -> Answer:
        if is_from_elsewhere(environ):
            return _problem("403 Forbidden", "another site has sent this form")
        address = ops_access.client_address(environ, self._proxies)
        if self._throttle.refuses(address):
            return login_page("429 Too Many Requests", LATER, [("Retry-After", str(int(self._throttle.window)))])
        if self._token is None or not ops_access.is_token(sent_token(environ), self._token):
            self._throttle.failed(address)
            self._note_failure(environ)
            return login_page("401 Unauthorized", WRONG)
        value = ops_access.session_value(self._token, time.time())
        return _back(ops_access.cookie_header(environ, value, ops_access.SESSION))

    def _log_out(self, environ: Environ) -> Answer:
        if is_from_elsewhere(environ):
            return _problem("403 Forbidden", "another site has sent this form")
        return _back(ops_access.cookie_header(environ, "", 0))

    def _note_failure(self, environ: Environ) -> None:
        self._failures.warning(f"a wrong token for /ops/ from {ops_access.client_address(environ, self._proxies)}")


Answer = tuple[str, str, bytes, list[tuple[str, str]]]  # status, content type, body, further headers


def sent_token(environ: Environ) -> str:
    """Return the token of a login form, one character per byte; "" when there is none."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return ""
    if not 0 < length <= MOST_BODY:
        return ""
    body: bytes = environ["wsgi.input"].read(length)
    return parse_qs(body.decode("latin-1"), encoding="latin-1").get("token", [""])[0]


def is_from_elsewhere(environ: Environ) -> bool:
    """Tell whether a page of another site had the browser send this."""
    site = environ.get("HTTP_SEC_FETCH_SITE", "none")
    return site not in ("same-origin", "none")


def login_page(status: str, message: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """Return the login form, with one of our own sentences in it."""
    body = file("ops_login.html").replace(b"<!-- message -->", message.encode())
    return status, HTML, body, list(headers)


@lru_cache(maxsize=8)
def file(name: str) -> bytes:
    """Return one of the page's files; names come from this module, never from a request."""
    return (Path(__file__).parent / name).read_bytes()


def _problem(status: str, reason: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    return status, JSON, f'{{"error": "{reason}"}}'.encode(), list(headers)


def _back(cookie: tuple[str, str]) -> Answer:
    return "303 See Other", TEXT, b"", [("Location", "./"), cookie]
