"""Headers by kind of answer: who may keep it, and what a browser may do with it.

    http_policy(app)                  # pages and JSON: private, no-cache; changes and errors: no-store

    @app.get("/account/tokens")
    @sensitive                        # no-store, whatever else is said
    def tokens(): ...

    http_policy(app, sensitive_paths=("/account/",), keep=5.0, body_mb=10)

Works outside of Flask's own answer, for the session's cookie is added after every `after_request` function.
If this is wrong, one user's page is shown to another by a cache between.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from flask import Flask, has_request_context, request

from .answer_headers import HTML_POLICY, with_caching, with_security
from .settings import load

SENSITIVE = "harden.sensitive"  # in the WSGI environment of a request
F = TypeVar("F", bound=Callable[..., Any])


class HttpPolicy:
    """WSGI middleware that gives each answer its headers; see `http_policy`.

    Args:
        app: the WSGI application behind.
        sensitive_paths: what sensitive paths begin with.
        keep: seconds for which a client may use a private answer without asking.
        html_policy: the Content-Security-Policy of pages; "" sends none.
        tells_https: whether https answers bind browsers to https.
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]], sensitive_paths: Sequence[str], keep: float,
        html_policy: str, tells_https: bool,
    ) -> None:  # fmt: skip
        self._app, self._paths, self._keep = app, tuple(sensitive_paths), keep
        self._html_policy, self._tells_https = html_policy, tells_https

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[SENSITIVE] = environ.get("PATH_INFO", "").startswith(self._paths) if self._paths else False

        def started(line: str, headers: list[tuple[str, str]], *args: Any) -> Any:
            # Read now: proxies' headers are believed, and the route is known, only further in.
            is_https = self._tells_https and environ.get("wsgi.url_scheme") == "https"
            method, is_sensitive = environ.get("REQUEST_METHOD", ""), bool(environ.get(SENSITIVE))
            headers = with_caching(method, int(line[:3]), list(headers), is_sensitive, self._keep)
            return start_response(line, with_security(headers, is_https, self._html_policy), *args)

        return self._app(environ, started)


def http_policy(
    app: Flask,
    *,
    sensitive_paths: Sequence[str] = (),
    keep: float = 0.0,
    html_policy: str = HTML_POLICY,
    body_mb: float | None = 10.0,
) -> None:
    """Give an app's answers the headers that it does not give them itself, and requests a limit of size.

    Args:
        app: the app.
        sensitive_paths: what sensitive paths begin with, such as "/account/".
        keep: seconds for which a client may use a private answer without asking; 0 makes it ask each time, which
            an ETag makes cheap.
        html_policy: the Content-Security-Policy of pages that have none; "" sends none.
        body_mb: largest request body in megabytes where the app has set no MAX_CONTENT_LENGTH; a larger one is a
            413. None leaves it unlimited.

    Raises:
        ValueError: a path does not begin with a slash, or a number is below 0.
        SettingsError: HARDEN_ENV or another setting is wrong.
    """
    wrong = [path for path in sensitive_paths if not path.startswith("/")]
    if isinstance(sensitive_paths, str) or wrong:
        raise ValueError(f"sensitive paths are a list, each beginning with /: not {wrong or sensitive_paths}")
    if keep < 0 or (body_mb or 0) < 0:
        raise ValueError(f"keep={keep} and body_mb={body_mb}: neither may be below 0")
    if body_mb is not None and app.config.get("MAX_CONTENT_LENGTH") is None:
        app.config["MAX_CONTENT_LENGTH"] = int(body_mb * 1_000_000)
    tells_https = load(config=app.config).environment == "production"
    policy = HttpPolicy(app.wsgi_app, sensitive_paths, keep, html_policy, tells_https)
    app.wsgi_app = policy  # type: ignore[method-assign]


def sensitive(view: F) -> F:
    """Mark a view: nobody may keep its answers, and with `compress` none is compressed.

    What hooks answer before the view is reached is not marked; give `http_policy` the path for that.
    """

    @functools.wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Any:
        mark_sensitive()
        return view(*args, **kwargs)

    return answer  # type: ignore[return-value]


def mark_sensitive() -> None:
    """Mark the answer that is being made, where only the data tells that it is sensitive."""
    request.environ[SENSITIVE] = True


def is_sensitive() -> bool:
    """Tell whether the answer that is being made is marked."""
    return has_request_context() and bool(request.environ.get(SENSITIVE))
