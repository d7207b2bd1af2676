"""Compression by one of two, the app or the proxy, and never of a secret beside what a stranger chose.

    compress(app)            # HARDEN_PROXIES above 0: the proxy compresses, and is told what it must not

An answer that holds a secret (a CSRF token, a name, a balance) and repeats what the request brought tells the
secret by its compressed length, byte by byte (BREACH; Gluck, Harris and Prado, 2013). Such answers go out as they
are, marked `Content-Encoding: identity`, which nginx and Flask-Compress leave alone: sensitive ones, those that
set a cookie, and, to a request that a browser sends with its user's cookie, changes and what repeats its input.
If this is wrong, a stranger's page reads a token out of lengths.
"""

from __future__ import annotations

import html
import importlib
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from flask import Flask, Response, current_app, request, session

from .errors import SettingsError
from .http_policy import is_sensitive
from .settings import load

SHORTEST = 3  # characters of input that are looked for: shorter ones are in every page
MOST_INPUTS = 50  # of one request; with more it stays plain unseen
SMALLEST = 500  # bytes worth compressing
TYPES = ("application/json", "application/x-ndjson", "text/csv", "text/css", "text/html", "text/javascript",
         "text/plain", "application/javascript", "image/svg+xml")  # fmt: skip


def compress(app: Flask, by: str | None = None) -> None:
    """Have an app's answers compressed by one of two, and those that must not be by none.

    Args:
        app: the app.
        by: "app", by Flask-Compress, or "proxy"; when None the proxy where HARDEN_PROXIES is above 0.

    Raises:
        SettingsError: by is neither, or "app" behind a proxy: nginx as rendered compresses already.
        RuntimeError: the package flask-compress is not there.
    """
    proxies = load(config=app.config)["HARDEN_PROXIES"]
    chosen = by or ("proxy" if proxies else "app")
    if chosen not in ("app", "proxy"):
        raise SettingsError([f"compress(by={by!r}) must be 'app' or 'proxy'"])
    if chosen == "app" and proxies:
        raise SettingsError(["compress(by='app') behind a proxy (HARDEN_PROXIES): let one do it, not both"])
    if chosen == "app":
        _start_flask_compress(app)
    app.after_request(_mark)  # after Flask-Compress's own in the list, and so before it


def _start_flask_compress(app: Flask) -> None:
    try:
        library = importlib.import_module("flask_compress")
    except ImportError:
        raise RuntimeError("compression by the app needs the package flask-compress") from None
    app.config.setdefault("COMPRESS_MIMETYPES", list(TYPES))
    app.config.setdefault("COMPRESS_MIN_SIZE", SMALLEST)
    app.config.setdefault("COMPRESS_STREAMS", False)  # rows go out as they come
    library.Compress(app)


def _mark(response: Response) -> Response:
    if "Content-Encoding" in response.headers:
        return response
    if must_stay_plain(response):
        response.headers["Content-Encoding"] = "identity"
        return response
    tag, is_weak = response.get_etag()
    if tag and not is_weak:
        response.set_etag(tag, weak=True)  # a compressed answer is another sequence of bytes of the same version
    return response


def must_stay_plain(response: Response) -> bool:
    """Tell whether an answer's compressed length could tell a secret."""
    if is_sensitive() or _sets_cookie(response):
        return True
    # What a stranger's page cannot have a browser send along is no help to him: bearer tokens, for one.
    is_sent_by_browsers = bool(request.cookies) or request.headers.get("Authorization", "").startswith("Basic")
    if not is_sent_by_browsers:
        return False
    return request.method not in ("GET", "HEAD") or _repeats_input(response)


def _sets_cookie(response: Response) -> bool:
    if "Set-Cookie" in response.headers:
        return True
    # The session's cookie is written after the last function of ours.
    return bool(session) and current_app.session_interface.should_set_cookie(current_app, session)


def _repeats_input(response: Response) -> bool:
    if response.is_streamed or response.direct_passthrough:
        return bool(request.query_string)
    inputs = [text for text in _inputs() if len(text) >= SHORTEST]
    if len(inputs) > MOST_INPUTS:
        return True
    body = response.get_data()
    return any(spelt.encode("utf-8", "replace") in body for text in inputs for spelt in _spellings(text))


def _inputs() -> Iterable[str]:
    for name, values in request.args.lists():
        yield name
        yield from values
    yield from map(str, (request.view_args or {}).values())
    yield from (value for name in ("Referer", "User-Agent") if (value := request.headers.get(name)))


def _spellings(text: str) -> set[str]:
    return {text, html.escape(text), json.dumps(text)[1:-1], quote(text), quote_plus(text), text.lower()}
