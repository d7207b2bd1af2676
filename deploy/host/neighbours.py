"""Other apps of the kit on the same host: what must differ between them, and what they share.

Knows their harden.toml and nothing that runs. If this is wrong, one app's install breaks another app.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..description import Description, DescriptionError
from ..load_description import load
from ..plan_sizes import sizes
from ..unit_network import listens_on_network
from .errors import HostError
from .places import Places

ROOT = Path("/")
INSTALLED = "applied*/manifest.json"
# Settings of the whole server: the last file by name wins, so they have to be the same.
SERVER = ("version", "max_connections", "superuser_reserved", "reserved")


def names(root: Path = ROOT) -> tuple[str, ...]:
    """Return the apps that are installed on a host."""
    folder = root / "var/lib/harden"
    found = folder.glob(f"*/{INSTALLED}") if folder.is_dir() else ()
    return tuple(sorted({path.parent.parent.name for path in found}))


def others(name: str, root: Path = ROOT) -> tuple[str, ...]:
    """Return the apps beside one."""
    return tuple(each for each in names(root) if each != name)


def require_room(description: Description, root: Path = ROOT) -> None:
    """Refuse a description that takes something from an app that is on the host already.

    Raises:
        HostError: says which key, whose it is, and what to change.
    """
    beside = list(_descriptions(description.app.name, root))
    for other in beside:
        for problem in problems(description, other):
            raise HostError(problem)
    _require_connections(description, [other for other in beside if _shares_server(description, other)])


def problems(description: Description, other: Description) -> Iterator[str]:
    """Yield what two apps on one host cannot both have, a line each."""
    name = other.app.name
    port = description.pgbouncer.port
    # One that has Unix sockets alone has them in a folder of its app.
    if port == other.pgbouncer.port and all(map(listens_on_network, (description, other))):
        yield f"pgbouncer.port {port} is {name}'s on this host; give this app another, such as {port + 1}"
    if all(each.front.kind == "nginx" for each in (description, other)):
        yield from _names_that_meet(description, other)
    if _shares_server(description, other):
        yield from _one_server(description, other)


def _names_that_meet(description: Description, other: Description) -> Iterator[str]:
    name = other.app.name
    if not description.front.domains and not other.front.domains:
        yield f"front.domains is empty, and {name} on this host has none either: one gets nothing; name domains"
    same = sorted(set(description.front.domains) & set(other.front.domains))
    if same:
        yield f"front.domains has {same[0]}, which is {name}'s on this host; remove it from one of them"


def _one_server(description: Description, other: Description) -> Iterator[str]:
    name = other.app.name
    for key in ("role", "name"):
        if getattr(description.database, key) == getattr(other.database, key):
            yield (
                f"database.{key} {getattr(description.database, key)} is {name}'s on this host; give each app a "
                "role and a database of its own"
            )
    for key in SERVER:
        ours, theirs = getattr(description.database, key), getattr(other.database, key)
        if ours != theirs:
            yield f"database.{key} is {ours}, and {name} on the same server has {theirs}; make them the same"


def _require_connections(description: Description, beside: list[Description]) -> None:
    plans = [sizes(each) for each in (description, *beside)]
    opened = sum(each.server_connections for each in plans) + description.database.direct
    if beside and opened > plans[0].server_limit:
        apps = ", ".join(each.app.name for each in (description, *beside))
        raise HostError(
            f"{apps} together may open {opened} connections, and the server has {plans[0].server_limit} that are "
            "not reserved; raise database.max_connections in each harden.toml"
        )


def _shares_server(description: Description, other: Description) -> bool:
    places = [(each.database.host, each.database.port) for each in (description, other)]
    return places[0] == places[1]


def _descriptions(name: str, root: Path) -> Iterator[Description]:
    for other in others(name, root):
        try:
            yield load(Places(other, root).description)
        except DescriptionError:
            continue  # its own next install says what is wrong with it
