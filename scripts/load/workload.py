"""What the virtual users ask for: a list of requests, encoded once, before the clock starts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Request:
    """One prepared request.

    Attributes:
        path: Path and query, as they go over the wire.
        method: GET, POST, PUT, PATCH or DELETE.
        json_body: Sent as JSON with its `Content-Type`; None sends no body.
        headers: Added to the defaults or put in their place; names are compared without case.
        expect: Statuses that count as an answer; any other one is an error such as "http 500".
    """

    path: str
    method: str = "GET"
    json_body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    expect: Collection[int] = (200,)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method {self.method!r} is not one of {', '.join(sorted(METHODS))}")
        if not self.path.startswith("/") or not _is_clean(self.path) or " " in self.path:
            raise ValueError(f"path {self.path!r} must start with / and be percent-encoded ASCII")
        for name, value in self.headers.items():
            if not name or not _is_clean(name) or not _is_clean(value) or set(name) & set(" :"):
                raise ValueError(f"header {name!r} has characters that HTTP does not allow")


@dataclass(frozen=True)
class Workload:
    """A target and the requests that go there, in turn.

    Attributes:
        target: `http://127.0.0.1:PORT`, `unix:/path/to.sock` or an absolute socket path.
        requests: Taken round robin; user number n starts at the nth, so that users are out of step.
    """

    target: str
    requests: Sequence[Request]

    def __post_init__(self) -> None:
        if not self.requests:
            raise ValueError("a workload needs at least one request")


def encode(request: Request, host_header: str) -> bytes:
    """Return the bytes of one request, head and body, ready to be written as they are."""
    headers = {"host": host_header, "user-agent": "harden-load", "accept": "*/*"}
    body = b""
    if request.json_body is not None:
        body = json.dumps(request.json_body, separators=(",", ":")).encode()
        headers["content-type"] = "application/json"
    headers.update({name.lower(): value for name, value in request.headers.items()})
    if body or request.method != "GET":
        headers["content-length"] = str(len(body))
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{name.title()}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _is_clean(text: str) -> bool:
    return text.isascii() and all(character >= " " and character != "\x7f" for character in text)
