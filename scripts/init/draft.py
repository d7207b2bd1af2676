"""Everything that was found, as the keys of a description; what does not fit a key becomes a CHANGE ME.

Knows which key takes what, from the description's own checks. A draft always loads: where nothing was found,
a placeholder stands.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path

from deploy.description import NAME, SECTIONS
from deploy.description_rules import SUPERUSERS, TAKEN, TAKEN_ENDS
from deploy.description_values import ValueProblem, checked
from deploy.secret_words import is_secret_name

from . import machine
from .app_files import find_migrate, find_requirements, find_static, lacks_driver
from .database import Connection, find_connection
from .found import Found, in_file
from .repository import Repository
from .target import find_target, imports_folder
from .variables import Read, read_variables

LOCAL = re.compile(r"localhost|127\..*|::1|0\.0\.0\.0|host\.docker\.internal|[^.]*")


@dataclass(frozen=True)
class Draft:
    """A description before it is written.

    Attributes:
        values: by (section, key), in the order of the file.
        reads: variables of the app that are no secrets and that nothing here sets.
        secrets: variables of the app that are secrets.
        notes: what a person should know, a line each.
    """

    values: dict[tuple[str, str], Found]
    reads: list[Read]
    secrets: list[Read]
    notes: list[str]

    def changes(self) -> dict[tuple[str, str], Found]:
        """Return what a person has to fill in."""
        return {key: found for key, found in self.values.items() if found.change}


def draft_of(root: Path, is_here: bool) -> Draft:
    """Look at a repository.

    Args:
        root: its folder.
        is_here: whether the service will run on this machine, whose figures are taken then.
    """
    repository = Repository(root.resolve())
    target, candidate = find_target(repository)
    name = find_name(root.resolve().name)
    requirements = find_requirements(repository, candidate)
    static, static_url = find_static(repository, candidate)
    folder = imports_folder(repository, candidate)
    connection = find_connection(repository, folder)
    values = {
        ("app", "name"): name,
        ("app", "target"): target,
        ("app", "requirements"): requirements,
        ("app", "static"): static,
        **({("app", "static_url"): static_url} if static.value else {}),
        ("app", "migrate"): find_migrate(repository, str(target.value)),
        ("hosts", "app"): Found(("localhost",), "default: one host that has everything"),
        ("hosts", "cores"): machine.cores() if is_here else Found(2),
        ("hosts", "memory_mb"): machine.memory_mb() if is_here else Found(2048),
        **_database(connection, str(name.value).replace("-", "_")),
        **(_versions() if is_here else {}),
    }
    reads = read_variables(repository.sources_below(folder))
    notes = _notes(repository, connection, str(requirements.value))
    return Draft(
        {key: _fitting(key, found) for key, found in values.items()},
        [read for read in reads if not is_secret_name(read.name)],
        [read for read in reads if is_secret_name(read.name)],
        notes,
    )


def find_name(folder: str) -> Found:
    """Return a name for units, user and folders, from the repository's folder."""
    name = _shortened(re.sub(r"[^a-z0-9]+", "-", folder.lower()).lstrip("-0123456789"))
    if not name:
        return Found("app", "a guess", change="the folder's name has no letters; name the service")
    if name in TAKEN or name.endswith(TAKEN_ENDS) or name.startswith("systemd-"):
        name = f"web-{name}" if NAME.fullmatch(f"web-{name}") and not name.endswith(TAKEN_ENDS) else "web"
    return Found(name, "the folder's name")


def _shortened(name: str) -> str:
    """Return as much of a name as fits, in whole words where there are several."""
    fits = name
    while fits and not NAME.fullmatch(fits):
        fits = fits[:-1]
    is_cut = name[len(fits) : len(fits) + 1] not in ("", "-")
    return fits.rpartition("-")[0] if is_cut and "-" in fits else fits


def _database(connection: Connection, app: str) -> dict[tuple[str, str], Found]:
    parts = connection.parts
    values = {
        ("database", "name"): _part(parts, "name", app, "no name of a database was found"),
        ("database", "role"): _role(parts, app),
        ("database", "host"): _host(parts),
    }
    port, place = parts.get("port", ("", ""))
    if port.isascii() and port.isdigit() and port != "5432" and values["database", "host"].where == in_file(place):
        values["database", "port"] = Found(int(port), in_file(place))
    if not str(values["database", "host"].value).startswith("/"):
        values["database", "sslmode"] = Found("require", "encrypted; better verify-full with database.ca")
    return values


def _part(parts: dict[str, tuple[str, str]], part: str, placeholder: str, change: str) -> Found:
    if part not in parts:
        return Found(placeholder, "a guess", change=change)
    value, place = parts[part]
    return Found(value, in_file(place))


def _role(parts: dict[str, tuple[str, str]], app: str) -> Found:
    role, place = parts.get("role", ("", ""))
    if not role:
        return Found(app, "default: after the service's name")
    if role in SUPERUSERS:
        return Found(app, f"default: {place} has {role}, a superuser; make the app a role of its own")
    return Found(role, in_file(place))


def _host(parts: dict[str, tuple[str, str]]) -> Found:
    host, place = parts.get("host", ("", ""))
    if not host:
        return Found("/run/postgresql")
    if host.startswith("/"):
        return Found(host, in_file(place))
    if LOCAL.fullmatch(host):
        return Found("/run/postgresql", f"default: {place} has {host}, for development")
    return Found(host, in_file(place))


def _versions() -> dict[tuple[str, str], Found]:
    found = {
        ("database", "version"): machine.postgresql_version(),
        ("pgbouncer", "version"): machine.pgbouncer_version(),
    }
    return {key: value for key, value in found.items() if value is not None}


def _notes(repository: Repository, connection: Connection, requirements: str) -> list[str]:
    notes = []
    places = [place for place in connection.passwords if place.rpartition(":")[0].endswith(".py")]
    if places:
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        notes.append(
            f"a password stands in the code ({', '.join(places[:3])}{more}): take it out, change it, and put "
            "DATABASE_URL into the secrets file"
        )
    if lacks_driver(repository, requirements):
        notes.append(f"{requirements} has no psycopg2; add psycopg2-binary>=2.9")
    notes += [f"{place} is no Python that parses, and was left out" for place in repository.unparsable[:5]]
    return notes


def _fitting(key: tuple[str, str], found: Found) -> Found:
    """Return what was found, or a placeholder where the description cannot take it."""
    section, name = key
    field = next(field for field in fields(SECTIONS[section]) if field.name == name)
    try:
        checked(list(found.value) if isinstance(found.value, tuple) else found.value, field)
    except ValueProblem as problem:
        placeholder = "app:app" if name == "target" else "app" if field.default is MISSING else field.default
        change = f"what was {found.where} {problem}"
        return replace(found, value=placeholder, where="a guess", change=change)
    return replace(found, others=tuple(other for other in found.others if _fits(other[0], field)))


def _fits(value: object, field: object) -> bool:
    try:
        checked(value, field)  # type: ignore[arg-type]
    except ValueProblem:
        return False
    return True
