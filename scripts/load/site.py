"""The address that a scenario's paths are asked at: on this machine, unless another one is allowed by name."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from .target import RemoteTarget, TargetError

PORTS = {"http": 80, "https": 443}


def parse_site(text: str, allow_remote: bool = False) -> str:
    """Return `http://HOST:PORT` of a target.

    Raises:
        RemoteTarget: it is not this machine and `allow_remote` is false.
        TargetError: it is no address of that kind, or its name has none.
    """
    try:
        parts = urlsplit(text)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise TargetError(f"cannot load {text!r}: {error}") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise TargetError(f"cannot load {text!r}: expected http://127.0.0.1:PORT or https://NAME")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise TargetError(f"cannot load {text!r}: give host and port alone; paths belong to the scenario")
    name = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    if not allow_remote:
        _refuse_remote(name, port)
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}"


def address_of(site: str) -> tuple[str, int]:
    """Return host and port of what `parse_site` returned."""
    parts = urlsplit(site)
    return parts.hostname or "", parts.port or 0


def _refuse_remote(name: str, port: int) -> None:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise TargetError(f"cannot load {name}: {why}; check the name") from None
    for address in {str(entry[4][0]).partition("%")[0] for entry in found}:
        if not ipaddress.ip_address(address).is_loopback:
            raise RemoteTarget(
                f"refusing to load {name} ({address}): it is not this machine; use 127.0.0.1, or "
                "--allow-remote for a host that is yours"
            )
