"""Only the names that are this app's own: whoever asks for another gets 400.

    HARDEN_HOSTS="shop.example.com, *.shop.example.com"      # or trust_hosts(app, ["shop.example.com"])

A name that a client made up stands in links, redirects and password mails that the app writes, and in the copy
that a cache then gives to everybody. Looked at after HARDEN_PROXIES, so at the name that the app believes; an
X-Forwarded-Host that is not believed must be one of ours as well, for somebody in the app may read it.
If this is wrong, links lead to an attacker's host, or nobody gets in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from flask import Flask, abort, request

DEFAULT_PORTS = ("80", "443")
_name = re.compile(r"(\*\.)?([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:\d{1,5})?")


def trust_hosts(app: Flask, hosts: Sequence[str]) -> None:
    """Refuse requests for other hosts.

    Args:
        app: the app.
        hosts: names, as `shop.example.com`, `*.example.com` for all names below, `localhost:8000` with a port that
            is not http's or https's own.

    Raises:
        ValueError: there is none, or one that cannot be a host's name.
    """
    known = tuple(host.strip().lower().rstrip(".") for host in hosts)
    wrong = [host for host in known if not _name.fullmatch(host)]
    if wrong or not known or isinstance(hosts, str):
        raise ValueError(f"hosts are a list of names as shop.example.com or *.example.com: not {wrong or hosts!r}")

    def refuse_others() -> None:
        environ = request.environ
        forwarded = environ.get("HTTP_X_FORWARDED_HOST")
        named = [environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")]
        named += forwarded.split(",") if forwarded is not None else []
        if not all(is_known(name, known) for name in named):
            abort(400, "This host is not served here.")

    app.before_request_funcs.setdefault(None, []).insert(0, refuse_others)


def is_known(name: str, known: Sequence[str]) -> bool:
    """Tell whether a Host header is one of the names, without a port or with one that may be.

    Args:
        name: as a client wrote it.
        known: names in lower case.
    """
    host = name.strip().lower()
    bare, colon, port = host.rpartition(":")
    if not colon or not port.isdecimal():  # no port, or an IPv6 address in brackets
        bare, port = host, ""
    bare = bare.removesuffix(".")
    if f"{bare}:{port}" in known:
        return True
    if port and port not in DEFAULT_PORTS:  # it would stand in links: a port nobody answers takes the site away
        return False
    return bare in known or any(_is_below(bare, each) for each in known if each.startswith("*."))


def _is_below(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) and _name.fullmatch(name) is not None and not name.startswith(("*", "."))
