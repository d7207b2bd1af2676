"""Who may see the ops pages: `/ops/`, the pool's figures, and whatever else is not for the world.

Three ways in: a caller on this machine that no proxy forwarded, `Authorization: Bearer TOKEN`, or the cookie of a
browser that has logged in with the token. The cookie is no token: it is an end in time, signed with the token, so
that what a browser keeps opens nothing tomorrow.
Knows WSGI, not Flask. If this is wrong, the world reads our statements, or nobody can look at an outage.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
FORWARDED = (
    "HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO",
    "HTTP_VIA", "HTTP_X_CLIENT_IP", "HTTP_TRUE_CLIENT_IP", "HTTP_CF_CONNECTING_IP",
)  # fmt: skip
COOKIE = "harden_ops"
SESSION = 12 * 3600  # seconds
_LOCAL_HOST = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_COOKIE_VALUE = re.compile(r"(\d{1,12})\.([0-9a-f]{64})")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}")


def may_see(environ: Mapping[str, Any], token: str | None) -> bool:
    """Tell whether a caller may see what is closed to the world.

    Args:
        environ: the request's WSGI environment, before anything has believed its forwarding headers.
        token: HARDEN_OPS_TOKEN; None or "" leaves loopback alone.
    """
    return is_local(environ) or (bool(token) and (has_token(environ, token) or has_session(environ, token)))


def is_local(environ: Mapping[str, Any]) -> bool:
    """Tell whether somebody on this machine asks, by a name of this machine, with no proxy between.

    A proxy on this machine makes the whole world look like loopback, but says that it forwards. A web page of the
    world can have its own name lead to 127.0.0.1 in a visitor's browser, but the browser sends that name as Host.
    nginx that nobody told to say so sends no such header and 127.0.0.1 as Host, but HTTP/1.0 by default, as else
    only old tools do (http://nginx.org/en/docs/http/ngx_http_proxy_module.html, `proxy_http_version`).
    """
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        return False
    if environ.get("REMOTE_ADDR") not in LOOPBACK or any(environ.get(name) for name in FORWARDED):
        return False
    return bool(_LOCAL_HOST.fullmatch(environ.get("HTTP_HOST") or environ.get("SERVER_NAME") or ""))


def has_token(environ: Mapping[str, Any], token: str | None) -> bool:
    """Tell whether the Authorization header carries the token."""
    scheme, _, sent = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return scheme.lower() == "bearer" and is_token(sent.strip(), token)


def is_token(sent: str, token: str | None) -> bool:
    """Compare what was sent with the token, in a time that says nothing of how much of it is right.

    Args:
        sent: as WSGI has it, one character per byte.
        token: HARDEN_OPS_TOKEN.
    """
    if not token:
        return False
    return hmac.compare_digest(sent.encode("latin-1", "replace"), token.encode("utf-8", "surrogateescape"))


def has_session(environ: Mapping[str, Any], token: str | None) -> bool:
    """Tell whether the cookie is one of ours that has not ended."""
    sent = environ.get("HTTP_COOKIE", "")
    if not token or COOKIE not in sent:
        return False
    # By hand: http.cookies gives up on all of them at one that the app has spelt its own way, such as JSON.
    pairs = (each.strip().partition("=") for each in sent.split(";"))
    found = _COOKIE_VALUE.fullmatch(next((value for name, _, value in pairs if name == COOKIE), ""))
    if found is None or not hmac.compare_digest(found[2], _signature(found[1], token)):
        return False
    return time.time() < int(found[1]) <= time.time() + SESSION


def session_value(token: str, now: float) -> str:
    """Return the cookie's value for a session that begins now (Unix time)."""
    end = str(int(now) + SESSION)
    return f"{end}.{_signature(end, token)}"


def cookie_header(environ: Mapping[str, Any], value: str, seconds: int) -> tuple[str, str]:
    """Return the header that sets the cookie; seconds is 0 to have it forgotten."""
    root = environ.get("SCRIPT_NAME", "")  # where the app is mounted; it may stand in the header if it is plain
    path = f"{root if _PREFIX.fullmatch(root) else ''}/ops"
    parts = [f"{COOKIE}={value}", f"Path={path}", f"Max-Age={seconds}", "HttpOnly", "SameSite=Strict"]
    return "Set-Cookie", "; ".join([*parts, "Secure"] if is_https(environ) else parts)


def is_https(environ: Mapping[str, Any]) -> bool:
    """Tell whether the browser speaks https. A caller who lies here only locks out their own cookie."""
    forwarded = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
    return environ.get("wsgi.url_scheme") == "https" or forwarded == "https"


def client_address(environ: Mapping[str, Any], proxies: int = 0) -> str:
    """Return whose request it is, fit for a log line.

    Args:
        environ: the WSGI environment.
        proxies: how many proxies in front are believed (HARDEN_PROXIES).
    """
    hops = [hop.strip() for hop in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    sent = hops[-proxies] if 0 < proxies <= len(hops) else environ.get("REMOTE_ADDR", "")
    return sent if _ADDRESS.fullmatch(sent) else "an unknown address"


def _signature(end: str, token: str) -> str:
    key = token.encode("utf-8", "surrogateescape")
    return hmac.new(key, b"harden ops session until " + end.encode(), hashlib.sha256).hexdigest()


class Throttle:
    """Refuses further attempts after a few that failed, per address and from all of them together.

    Of one process, and nobody sleeps: a thread that waits is a thread that an attacker has taken.

    Args:
        each: failures of one address within the window; then it is refused.
        everybody: failures of all addresses.
        window: seconds.
    """

    def __init__(self, each: int = 5, everybody: int = 100, window: float = 30.0) -> None:
        self._each, self._everybody, self.window = each, everybody, window
        self._lock = threading.Lock()  # guards the list, which has at most `everybody` entries
        self._failures: list[tuple[float, str]] = []

    def refuses(self, address: str) -> bool:
        """Tell whether an address has to wait."""
        with self._lock:
            since = time.monotonic() - self.window
            self._failures = [failure for failure in self._failures if failure[0] > since]
            of_address = sum(each == address for _, each in self._failures)
            return of_address >= self._each or len(self._failures) >= self._everybody

    def failed(self, address: str) -> None:
        """Count a failure."""
        with self._lock:
            self._failures.append((time.monotonic(), address))
            del self._failures[: -self._everybody]
