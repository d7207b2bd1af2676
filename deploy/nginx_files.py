"""nginx on each app host: the configuration that stands between the world, or a balancer, and the app's socket.

The default servers and the TLS profile are the same bytes for every app, so that several apps share a host; who
removes one app must leave them. Debian's sites-enabled/default has a default server of its own and must go.
Knows nginx' directives and no host. If this is wrong, the world reads /metrics, or clients are who they say.
"""

from __future__ import annotations

import posixpath
from typing import Any

from . import front_text, tls_profile
from .description import Description
from .errors import InputError
from .files import File
from .front_text import Plain
from .plan import Plan

RELOAD = "systemctl reload nginx"
# What the app answers beside its own routes, and the world is not to see.
CLOSED = {"/ops": "=", "/ops/": "^~", "/health/": "^~", "/metrics": "=", "/health/metrics": "="}
SCRAPED = ("/metrics", "/health/metrics")  # the second where the app has a /metrics of its own
FAILURES = (502, 503, 504)
ACME = "/.well-known/acme-challenge/"
FEWEST_CONNECTIONS = 50  # of one address at a time: a browser opens six, HTTP/2 counts each request


def files(description: Description, plan: Plan) -> tuple[File, ...]:
    """Return nginx' files for an app host; none where something else is in front.

    Raises:
        InputError: a value cannot stand in them, or they would publish what they must not.
    """
    if description.front.kind != "nginx":
        return ()
    values = _values(description)
    name = values["name"]
    wanted = [
        ("conf.d/00-harden.conf", "nginx-default.conf.j2"),
        (f"conf.d/{name}.conf", "nginx-site.conf.j2"),
        (f"snippets/{name}-proxy.conf", "nginx-proxy.conf.j2"),
        (f"snippets/{name}-headers.conf", "nginx-headers.conf.j2"),
    ]
    if values["tls"]:
        wanted += [
            ("conf.d/00-harden-tls.conf", "nginx-default-tls.conf.j2"),
            ("snippets/00-harden-tls.conf", "nginx-tls.conf.j2"),
        ]
    return tuple(
        File(f"/etc/nginx/{path}", front_text.fill(template, values), reload=RELOAD)
        for path, template in sorted(wanted)
    )


def _values(description: Description) -> dict[str, Any]:
    front, app, timeouts = description.front, description.app, description.timeouts
    balancers = front_text.balancer_networks(description)
    is_tls = bool(front.certificate) and not balancers
    scrapers = front_text.networks("watch.scrape_from", description.watch.scrape_from)
    var = app.name.replace("-", "_")  # of variables and zones; no name has a _, so no two meet
    return {
        "name": app.name, "var": var, "request_id": Plain(front_text.REQUEST_ID),
        "names": _server_names(description), "tls": is_tls, "hsts": Plain(tls_profile.HSTS),
        "protocols": tls_profile.PROTOCOLS, "ciphers": Plain(tls_profile.CIPHERS), "curves": tls_profile.CURVES,
        "certificate": front.certificate, "certificate_key": front.certificate_key or front.certificate,
        "balancers": balancers, "scrapers": scrapers, "known": tuple(dict.fromkeys(balancers + scrapers)),
        "scheme": Plain(f"${var}_scheme" if balancers else "$scheme"),
        "worker": timeouts.worker, "proxy": timeouts.proxy, "body_mb": front.body_mb,
        # A balancer counts for all hosts together, and here would be counted what it has let in.
        "rate": 0 if balancers else front.rate, "connections": max(FEWEST_CONNECTIONS, 2 * front.rate),
        "failures": FAILURES, **_paths(description, bool(scrapers)),
    }  # fmt: skip


def _server_names(description: Description) -> tuple[str, ...]:
    """Return what the app's server answers to.

    Without domains that is every name, and none: a pattern, so that the default server stays one for all apps.
    Where there are several hosts, their own as well: Prometheus asks each for itself, by no other name.
    """
    front = description.front
    is_one_of_many = front.balancer or (len(description.hosts.app) > 1 and description.watch.scrape_from)
    if not front.domains:
        return (Plain('""'), Plain("~."))
    hosts = tuple(host.lower() for host in description.hosts.app) if is_one_of_many else ()
    return (*front.domains, *(host for host in hosts if host not in front.domains))


def _paths(description: Description, is_scraped: bool) -> dict[str, Any]:
    app = description.app
    health = _url("app.health", app.health)
    # What is asked whether traffic may come must answer, even from below what is closed.
    is_below = health in CLOSED or health.startswith(("/ops/", "/health/"))
    scraped = [path for path in SCRAPED if is_scraped and path != health]
    taken = {*scraped, health}
    closed = [{"how": Plain(how), "url": url} for url, how in CLOSED.items() if how != "=" or url not in taken]
    static_url, static = _static(description) if app.static else ("", "")
    return {
        "health": health, "opened": health if is_below else "", "scraped": scraped, "closed": closed,
        "static_url": static_url, "static": static,
    }  # fmt: skip


def _static(description: Description) -> tuple[str, str]:
    """Return the URL and the folder of static files, each with a slash at its end.

    Raises:
        InputError: the folder is the repository itself, or the URL hides the app or is the front's.
    """
    app = description.app
    folder = posixpath.normpath(app.static)
    if folder == "." or folder.startswith((".", "/")):
        raise InputError(f"app.static is {app.static!r}: it would publish more than static files; name a folder")
    url = _url("app.static_url", app.static_url).rstrip("/") + "/"
    if url == "/" or any(url.startswith(taken) for taken in (ACME, "/ops/", "/health/", "/metrics/")):
        raise InputError(f"app.static_url is {app.static_url!r}, which is not free; write it like /static/")
    return url, f"/opt/{app.name}/current/app/{folder}/"


def _url(key: str, path: str) -> str:
    if not path.startswith("/") or "//" in path or {".", ".."} & set(path.split("/")):
        raise InputError(f"{key} is {path[:60]!r}; it must be a plain path, without // and ..")
    return path
