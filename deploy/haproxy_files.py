"""HAProxy on the balancer's host: over nginx on each app host, with health checks, draining and TLS.

nginx has neither checks nor draining; this has both, so a host can be released, or die, while others serve. It
must be a host of its own, for both would have port 80.
Knows HAProxy's directives and no host. If this is wrong, a host that is down gets requests.
"""

from __future__ import annotations

from typing import Any

from . import front_text, tls_profile
from .description import Description
from .errors import InputError
from .files import File
from .front_text import Plain
from .nginx_files import FAILURES, FEWEST_CONNECTIONS
from .plan import Plan

FEWEST = 64  # requests at a time to one host: static files and streams beside what the app's threads do


def files(description: Description, plan: Plan) -> tuple[File, ...]:
    """Return HAProxy's file; none without a balancer.

    Raises:
        InputError: a value cannot stand in it, or HAProxy cannot find the certificate's key.
    """
    if not description.front.balancer:
        return ()
    text = front_text.fill("haproxy.cfg.j2", _values(description, plan))
    return (File("/etc/haproxy/haproxy.cfg", text, reload="systemctl reload haproxy"),)


def server_name(host: str) -> str:
    """Return what a host of the description is called on HAProxy's socket: `set server app/NAME state drain`."""
    return host.strip("[]").lower()


def _values(description: Description, plan: Plan) -> dict[str, Any]:
    front, app, timeouts = description.front, description.app, description.timeouts
    front_text.balancer_networks(description)  # the other side of the same promise
    names = [name.lower() for name in front.domains]
    return {
        "names": [name for name in names if not name.startswith("*")],
        "endings": [name[1:] for name in names if name.startswith("*")],
        "asked": _asked(front.domains), "health": app.health, "request_id": Plain(front_text.REQUEST_ID),
        "tls": bool(front.certificate), "certificate": front.certificate, "beside": _key_is_beside(description),
        "ciphers": Plain(tls_profile.CIPHERS), "ciphersuites": tls_profile.CIPHERSUITES,
        "curves": tls_profile.CURVES, "hsts": Plain(tls_profile.HSTS),
        "rate": front.rate, "connections": max(FEWEST_CONNECTIONS, 2 * front.rate),
        "static_url": app.static_url if app.static else "",
        "counted": Plain(" unless is_static !is_odd" if app.static else ""),
        "proxy": timeouts.proxy, "client": timeouts.client, "failures": FAILURES,
        "per_host": max(FEWEST, 4 * plan.workers * plan.threads),
        "servers": [{"name": server_name(host), "address": host} for host in description.hosts.app],
    }  # fmt: skip


def _asked(domains: tuple[str, ...]) -> str:
    """Return a name under which a host answers a health check."""
    return domains[0].replace("*", "health") if domains else "localhost"


def _key_is_beside(description: Description) -> bool:
    """Tell whether the key is beside the certificate with its ending in place of the other's.

    HAProxy is not told where a key is: it looks into the certificate's file, and at places that follow from its
    name.

    Raises:
        InputError: the key is somewhere else.
    """
    certificate, key = description.front.certificate, description.front.certificate_key
    if key in (certificate, f"{certificate}.key", ""):
        return False
    if certificate.endswith(".crt") and key == f"{certificate.removesuffix('.crt')}.key":
        return True
    raise InputError(
        f"front.certificate_key is {key!r}, where HAProxy does not look; name it {certificate + '.key'!r}, or put "
        "both into one file"
    )
