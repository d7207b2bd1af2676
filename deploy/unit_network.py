"""What a unit may reach over a network: nothing where Unix sockets lead everywhere, else what can be named.

Knows the description and no unit's text. If it says too little, the service cannot reach its database; if too
much, whoever takes the service over can reach others.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from .description import Description
from .description_rules import LOCAL

HERE = "localhost"  # systemd's own word for 127.0.0.0/8 and ::1


@dataclass(frozen=True)
class Reach:
    """The addresses that a unit may speak to, and be spoken to from.

    Attributes:
        kind: "none" for no network at all, "some" for `allow` alone, "any".
        allow: addresses and networks, as IPAddressAllow= takes them.
    """

    kind: str
    allow: tuple[str, ...] = ()


def app_reach(description: Description) -> Reach:
    """Return what the app reaches: its database, unless by a socket, and what it calls."""
    return _reach((*_app_database(description), *description.app.calls))


def bouncer_reach(description: Description) -> Reach:
    """Return what PgBouncer reaches: PostgreSQL, or where it is beside that, by a socket, the hosts that come."""
    return _reach(description.hosts.app if listens_on_network(description) else _server(description))


def listens_on_network(description: Description) -> bool:
    """Tell whether PgBouncer is on the database's machine, and the app elsewhere."""
    bouncer = description.pgbouncer
    return bouncer.enabled and bouncer.place == "database" and not is_one_machine(description)


def _app_database(description: Description) -> tuple[str, ...]:
    bouncer = description.pgbouncer
    if bouncer.enabled and (bouncer.place == "app" or is_one_machine(description)):
        return ()
    return _server(description)


def _server(description: Description) -> tuple[str, ...]:
    host = description.database.host
    return () if host.startswith("/") else (host,)


def is_one_machine(description: Description) -> bool:
    """Tell whether app and database share a host."""
    host = description.database.host
    return len(description.hosts.app) == 1 and (host.startswith("/") or host.lower() in LOCAL)


def default_kinds(description: Description) -> tuple[str, ...]:
    """Return what a host is for when nobody says: the app, and its database where that is the same machine."""
    return ("app", "database") if is_one_machine(description) else ("app",)


def _reach(names: Iterable[str]) -> Reach:
    wanted = {_address(name) for name in names}
    if not wanted:
        return Reach("none")
    if None in wanted:
        return Reach("any")
    known = sorted(address for address in wanted if address is not None and address != HERE)
    return Reach("any") if any(address.endswith("/0") for address in known) else Reach("some", (HERE, *known))


def _address(name: str) -> str | None:
    """Return a name as IPAddressAllow= takes it; None for a host name, of which systemd knows no address."""
    if name.lower() in LOCAL:
        return HERE
    try:
        return str(ipaddress.ip_network(name.strip("[]")))
    except ValueError:
        return None
