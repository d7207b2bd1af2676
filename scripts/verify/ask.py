"""Asks one request over HTTP and keeps the whole answer, within a time limit that holds for endless bodies too.

A plain socket's client: nothing is followed, decoded or retried, so that the bytes are those that were sent.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlencode, urlsplit

MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One request; `path` may have a query string."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    rule: str = ""

    @property
    def label(self) -> str:
        """Return it as people write it."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: 0 when there was none.
        failure: why there was no whole answer; "" for one.
        seconds: until the last byte.
    """

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float = 0.0
    failure: str = ""

    def header(self, name: str) -> str:
        """Return a header's first value; "" where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def request_of(
    method: str, path: str, form: dict[str, object], json_body: object, headers: dict[str, str], rule: str = ""
) -> Request:
    """Return a request with a form's or a JSON body."""
    if json_body is not None:
        headers = {"Content-Type": "application/json", **headers}
        return Request(method, path, headers, json.dumps(json_body).encode(), rule)
    if form or method in ("POST", "PUT", "PATCH"):
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return Request(method, path, headers, urlencode(form, doseq=True).encode(), rule)
    return Request(method, path, headers, None, rule)


def ask(port: int, request: Request, cookies: dict[str, str], seconds: float) -> Answer:
    """Ask a server on loopback, and keep the cookies that it sets.

    Args:
        port: where it listens.
        request: what is asked.
        cookies: the jar; it is changed.
        seconds: for the whole answer.
    """
    started = time.monotonic()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    headers = {"Accept": "*/*", "User-Agent": "harden-verify", "Connection": "close", **request.headers}
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    try:
        client.request(request.method, quote(request.path, safe="/%?&=+:;,@!$'()*~#[]"), request.body, headers)
        response = client.getresponse()
        body, failure = _body(client, response, started + seconds)
        found = tuple(response.getheaders())
        _keep_cookies(found, cookies)
        return Answer(response.status, found, body, time.monotonic() - started, failure)
    except TimeoutError:
        return Answer(seconds=seconds, failure=f"no answer within {seconds:g} s")
    except (http.client.HTTPException, OSError) as error:
        reason = str(error) or type(error).__name__
        failure = f"the connection ended without an answer: {reason}"
        return Answer(seconds=time.monotonic() - started, failure=failure)
    finally:
        client.close()


def _body(
    client: http.client.HTTPConnection, response: http.client.HTTPResponse, deadline: float
) -> tuple[bytes, str]:
    parts: list[bytes] = []
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return b"".join(parts), f"never ended: {size} bytes within the time limit"
        if size > MOST_BYTES:
            return b"".join(parts), f"larger than {MOST_BYTES} bytes"
        if client.sock is not None:
            client.sock.settimeout(left)
        try:
            part = response.read1(65536)
        except TimeoutError:
            return b"".join(parts), f"never ended: {size} bytes within the time limit"
        except (http.client.HTTPException, OSError) as error:
            return b"".join(parts), f"cut off after {size} bytes: {type(error).__name__}"
        if not part:
            missing = response.length
            return b"".join(parts), f"cut off: {missing} bytes are missing" if missing else ""
        parts.append(part)
        size += len(part)


def _keep_cookies(headers: tuple[tuple[str, str], ...], cookies: dict[str, str]) -> None:
    for name, value in headers:
        if name.lower() != "set-cookie":
            continue
        try:
            parsed = SimpleCookie(value)
        except CookieError:
            continue
        for key, morsel in parsed.items():
            if morsel["max-age"] == "0" or "1970" in morsel["expires"]:
                cookies.pop(key, None)
            else:
                cookies[key] = morsel.coded_value


def without_host(location: str, port: int) -> str:
    """Return a URL without the server's own host and port, so that two servers' can be compared."""
    parts = urlsplit(location)
    own = parts.hostname in ("127.0.0.1", "localhost") and parts.port == port
    return re.sub(r"^https?://[^/?#]*", "", location) if own else location
