"""Rate limits by Flask-Limiter, set up for several workers and hosts behind a proxy.

    limiter = rate_limits(app, "200/minute", url="redis://:password@cache:6379/0", who=current_user_id)

    @app.post("/login")
    @limiter.limit("5/minute")
    @needs_store(limiter)                # no Redis, no login: 503 rather than a limit per worker
    def login(): ...

Counted by user where one is known, else by address: after `HARDEN_PROXIES`, so it is the client's and not nginx's.
Without Redis, or while it is away, each worker counts for itself: N workers then let N times as much through.
Knows nothing of the pool. If this is wrong, a password is guessed as fast as the network allows.
"""

from __future__ import annotations

import functools
import importlib
import ipaddress
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, abort, request

log = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])
STRATEGY = "sliding-window-counter"  # two counters a key; a fixed window lets twice the limit through at its edge
IPV6_NETWORK = 64  # bits: what one customer is given, so what one client can change at will


def rate_limits(
    app: Flask,
    *limits: str,
    url: str | None = None,
    who: Callable[[], object] | None = None,
    timeout: float = 0.25,
    **options: Any,
) -> Any:
    """Limit an app's requests and return Flask-Limiter's Limiter, for limits of single routes.

    Args:
        app: the app.
        *limits: of each route that has none of its own: "200/minute", "2000/hour"; static files are free, and so
            are the health endpoints, which never reach Flask.
        url: redis://, shared by all workers and hosts; None counts in this worker's memory.
        who: returns the user's id in a request, or None; it must not need more than the session or the token.
        timeout: seconds that Redis may take.
        **options: more of Limiter's, or others than these.

    Raises:
        RuntimeError: the package flask-limiter is not there.
    """
    try:
        library = importlib.import_module("flask_limiter")
    except ImportError:
        raise RuntimeError("rate limits need the package flask-limiter: pip install flask-limiter redis") from None
    if url is None:
        log.warning("rate limits are counted in each worker for itself; give url=redis://... to share them")
    ours = {
        "default_limits": list(limits),
        "storage_uri": url or "memory://",
        "storage_options": _connection_limits(url, timeout),
        "strategy": STRATEGY,
        "headers_enabled": True,  # with Retry-After
        "in_memory_fallback_enabled": url is not None,
        "key_prefix": app.name,
    }
    limiter = library.Limiter(functools.partial(client_key, who), **{**ours, **options})
    limiter.request_filter(_is_static)
    limiter.init_app(app)
    return limiter


def client_key(who: Callable[[], object] | None = None) -> str:
    """Return whom a request is counted for: the user, else the address, of IPv6 its /64."""
    user = who() if who is not None else None
    if user is not None:
        return f"user:{user}"
    address = request.remote_addr or "unknown"
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a Unix socket's
        return f"address:{address}"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return f"address:{parsed.ipv4_mapped}"
        return f"address:{ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False)}"
    return f"address:{parsed}"


def needs_store(limiter: Any) -> Callable[[F], F]:
    """Answer 503 while this worker does not count where all of them do: a login must not go uncounted.

    That lasts until the limiter is back at Redis, at most about half a minute longer than Redis is away.

    Args:
        limiter: what `rate_limits` returned.
    """

    def decorate(view: F) -> F:
        @functools.wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Any:
            if not _is_shared(limiter):
                log.warning("a request was refused: its limit is not counted in Redis, which is or was away")
                abort(503)
            return view(*args, **kwargs)

        return answer  # type: ignore[return-value]

    return decorate


def _is_shared(limiter: Any) -> bool:
    # `limiter.limiter` is the one in use. After Redis has come back it stays this worker's own for a while, and
    # a ping alone would let N workers' worth of guesses through meanwhile.
    return limiter.limiter.storage is limiter.storage and bool(limiter.storage.check())


def _is_static() -> bool:
    return request.endpoint == "static"


def _connection_limits(url: str | None, timeout: float) -> dict[str, Any]:
    if url is None:
        return {}
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout}
