"""Where the load goes: a loopback address or a Unix socket, and nothing else unless it is asked for.

A load generator pointed at the wrong host is an attack, so the default refuses everything that could leave
this machine. Names are resolved here, once, in the caller's process: the generator is only given numbers.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ..errors import CommandError


class TargetError(CommandError, ValueError):
    """The target is no address that can be loaded."""


class RemoteTarget(TargetError):
    """The target is not on this machine and `allow_remote` was not given."""


@dataclass(frozen=True)
class Target:
    """A resolved address.

    Attributes:
        host: Numeric address; empty for a Unix socket.
        port: TCP port; 0 for a Unix socket.
        socket_path: Absolute path of a Unix socket; empty for TCP.
        host_header: What the `Host` header says unless the request has its own.
    """

    host: str
    port: int
    socket_path: str
    host_header: str


def parse_target(text: str, allow_remote: bool = False) -> Target:
    """Resolve `http://127.0.0.1:8000`, `unix:/run/app.sock` or an absolute socket path.

    Raises:
        RemoteTarget: The address is not loopback and `allow_remote` is false.
        TargetError: The text is neither a plain HTTP address nor a socket path.
    """
    if text.startswith(("unix:", "/")):
        return _unix_target(text.removeprefix("unix:"))
    try:
        parts = urlsplit(text)
        port = parts.port or 80
    except ValueError as error:
        raise TargetError(f"cannot load {text!r}: {error}") from None
    if parts.scheme != "http" or not parts.hostname:
        raise TargetError(
            f"cannot load {text!r}: expected http://127.0.0.1:PORT or unix:/path/to.sock; "
            "for https, name the plain address of the server behind the proxy"
        )
    if parts.path not in ("", "/") or parts.query or parts.username:
        raise TargetError(f"cannot load {text!r}: give host and port alone, and the path in each request")
    return _tcp_target(parts, port, allow_remote)


def _unix_target(path: str) -> Target:
    if not path:
        raise TargetError("cannot load 'unix:': the path of the socket is missing; give unix:/path/to.sock")
    # The generator runs in another working directory, so a relative path would name another file there.
    return Target("", 0, str(Path(path).absolute()), "localhost")


def _tcp_target(parts: SplitResult, port: int, allow_remote: bool) -> Target:
    name = parts.hostname or ""
    address = _resolve(name, port)
    if not allow_remote and not ipaddress.ip_address(address).is_loopback:
        raise RemoteTarget(
            f"refusing to load {name} ({address}): it is not this machine; use 127.0.0.1 or a Unix socket, "
            "or say allow_remote=True for a host that is yours"
        )
    return Target(address, port, "", parts.netloc)


def _resolve(name: str, port: int) -> str:
    if name == "localhost":
        # It may resolve to ::1 first, where development servers rarely listen.
        return "127.0.0.1"
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TargetError(f"cannot load {name}: {error.strerror or error}; check the name") from error
    return str(found[0][4][0]).partition("%")[0]
