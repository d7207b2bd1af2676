"""What holds between the keys of a `harden.toml`: pairs that need each other, or exclude each other.

Knows whole descriptions and no files. If a rule is missing here, a host finds out: nginx does not start, or an
app looks for its database on the wrong machine. Sizes and timeouts are the plan's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields

from .description import NETWORK, SECTIONS, Description

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Users, units or folders that a host has already.
TAKEN = frozenset({
    "adm", "apt", "backup", "bin", "cron", "daemon", "dbus", "games", "gunicorn", "haproxy", "harden", "irc",
    "list", "lp", "mail", "man", "messagebus", "news", "nginx", "nobody", "pgbouncer", "postgres", "postgresql",
    "prometheus", "proxy", "redis", "root", "ssh", "sshd", "sync", "sys", "syslog", "systemd", "uucp", "www-data",
})  # fmt: skip
TAKEN_ENDS = ("-health", "-pgbouncer")
SUPERUSERS = frozenset({"postgres", "root", "rdsadmin", "pgbouncer"})

Rule = Callable[[Description], Iterable[str]]


def problems_of(description: Description) -> list[str]:
    """Return what makes a description unusable, a line each that begins with a key."""
    return [problem for rule in RULES for problem in rule(description)]


def warnings_of(description: Description) -> list[str]:
    """Return what works and should not stay so, a line each that begins with a key."""
    return [warning for rule in ADVICE for warning in rule(description)]


def _names(description: Description) -> Iterator[str]:
    name = description.app.name
    if name in TAKEN or name.endswith(TAKEN_ENDS) or name.startswith("systemd-"):
        yield f"app.name is {name!r}, which is a user or a unit of something else; choose another"


def _paths(description: Description) -> Iterator[str]:
    app = description.app
    for key, path in (("app.static_url", app.static_url), ("app.health", app.health)):
        if "//" in path or ".." in path.split("/"):
            yield f"{key} is {path!r}; it must be a plain path, without // and .."
    if app.static and not (app.static_url.endswith("/") and len(app.static_url) > 2):
        yield f"app.static_url is {app.static_url!r}; it must be a folder with / at both ends, such as /static/"
    elif app.static and app.health.startswith(app.static_url):
        yield f"app.health is {app.health!r}, below app.static_url: the front would look for a file of that name"


def _hosts(description: Description) -> Iterator[str]:
    hosts = description.hosts.app
    yield from _twice("hosts.app", hosts)
    local = [host for host in hosts if host.lower() in LOCAL]
    if local and len(hosts) > 1:
        yield f"hosts.app has {local[0]} beside other hosts; name each as the others reach it"
    if len(hosts) > 1 and description.database.host.startswith("/"):
        yield (
            f"database.host is a socket folder of one host, and hosts.app has {len(hosts)}; "
            "give the server's name or address"
        )


def _database(description: Description) -> Iterator[str]:
    database = description.database
    if database.role in SUPERUSERS:
        yield (
            f"database.role is {database.role!r}, a superuser or a console's user; make the app a role of its own "
            f"(CREATE ROLE {description.app.name} LOGIN; GRANT ...)"
        )
    if database.name in ("pgbouncer", "template0", "template1"):
        yield f"database.name is {database.name!r}, which is no app's database"
    if database.reserved and database.version < 16:
        yield (
            f"database.reserved is {database.reserved}, and PostgreSQL {database.version} has no "
            "reserved_connections (16 has); set it to 0, or raise database.direct"
        )
    if database.sslmode == "verify-full" and not database.ca and is_over_network(description):
        yield 'database.sslmode is "verify-full" and database.ca is missing; name the file with the authority'


def _front(description: Description) -> Iterator[str]:
    front = description.front
    if bool(front.certificate) != bool(front.certificate_key):
        missing = "certificate" if front.certificate_key else "certificate_key"
        yield f"front.{missing} is missing; TLS needs the certificate and its key"
    yield from _twice("front.domains", front.domains)
    if front.balancer and len(description.hosts.app) < 2:
        yield "front.balancer is true with one host in hosts.app; add hosts, or set it to false"
    if front.balancer and not front.balancer_from:
        yield "front.balancer_from is empty with front.balancer = true; give the balancer's addresses"
    if front.balancer and front.kind == "none":
        yield 'front.balancer is true with front.kind = "none"; the balancer speaks to nginx on each host'


def _bouncer(description: Description) -> Iterator[str]:
    bouncer, database = description.pgbouncer, description.database
    shares = bouncer.place == "database" or not is_over_network(description)
    if bouncer.enabled and shares and not database.host.startswith("/") and bouncer.port == database.port:
        yield f"pgbouncer.port is {bouncer.port}, as database.port on the same machine; change one of them"
    if bool(bouncer.certificate) != bool(bouncer.certificate_key):
        missing = "certificate" if bouncer.certificate_key else "certificate_key"
        yield f"pgbouncer.{missing} is missing; TLS needs the certificate and its key"
    is_beside = bouncer.enabled and bouncer.place == "database" and is_over_network(description)
    if is_beside and description.app.migrate and bouncer.session_pool < 2:  # the lock's, and its own
        yield (
            f"pgbouncer.session_pool is {bouncer.session_pool}, and app.migrate goes through it, for the network "
            "has no other way to PostgreSQL; set it to 2 or more"
        )


def _networks(description: Description) -> Iterator[str]:
    for key, networks in _network_keys(description):
        yield from _twice(key, networks)
        for network in networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                yield f"{key} has {network!r}: {error}; write it like 10.0.0.0/24"


def _network_keys(description: Description) -> Iterator[tuple[str, tuple[str, ...]]]:
    for section, kind in SECTIONS.items():
        for field in fields(kind):
            if field.metadata["check"] is NETWORK:
                yield f"{section}.{field.name}", getattr(getattr(description, section), field.name)


def _unverified(description: Description) -> Iterator[str]:
    mode = description.database.sslmode
    if is_over_network(description) and mode != "verify-full":
        yield (
            f"database.sslmode is {mode!r} over a network: somebody between could be the server; "
            'use "verify-full" with database.ca'
        )
    if description.database.ca and mode != "verify-full":
        yield f'database.ca is used by sslmode = "verify-full" alone, and it is {mode!r}'


def _not_local(description: Description) -> Iterator[str]:
    host = description.database.host
    if host.lower() in LOCAL and len(description.hosts.app) > 1:
        yield f"database.host is {host} on each of {len(description.hosts.app)} hosts; is there a proxy on each?"


def _plain_http(description: Description) -> Iterator[str]:
    front = description.front
    if front.kind == "nginx" and front.domains and not front.certificate:
        yield "front.certificate is missing: the front serves plain HTTP, which others can read and change"
    if front.certificate and not front.domains:
        yield "front.domains is empty: whatever name is asked for gets the certificate; name the domains"
    if front.certificate and front.kind == "none":
        yield 'front.certificate is not used with front.kind = "none"'


def _cancels(description: Description) -> Iterator[str]:
    bouncer = description.pgbouncer
    if bouncer.enabled and bouncer.processes > 1 and _version(bouncer.version) < (1, 19):
        yield (
            f"pgbouncer.processes is {bouncer.processes} with version {bouncer.version}: before 1.19 a cancelled "
            "query may reach a process that does not know it; use one process, or a newer version"
        )


def is_over_network(description: Description) -> bool:
    """Tell whether the database is on another machine, as far as its name says."""
    host = description.database.host
    return not host.startswith(("/", "127.")) and host.lower() not in LOCAL


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _twice(key: str, values: tuple[str, ...]) -> Iterator[str]:
    lower = [value.lower() for value in values]
    for value in sorted({value for value in lower if lower.count(value) > 1}):
        yield f"{key} has {value} twice"


RULES: tuple[Rule, ...] = (_names, _paths, _hosts, _database, _front, _bouncer, _networks)
ADVICE: tuple[Rule, ...] = (_unverified, _not_local, _plain_http, _cancels)
