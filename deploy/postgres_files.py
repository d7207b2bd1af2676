"""PostgreSQL's files of a service: roles and rights as SQL, settings for conf.d, lines for pg_hba.conf.

Knows SQL's quoting and the description; has no password and no verifier. If this is wrong, the app may do more
than it needs, a timeout does not hold, or the server has fewer connections than the plan counts on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from .description import HOST, NAME, ROLE, Description
from .description_rules import LOCAL, is_over_network
from .errors import InputError
from .files import File
from .pgbouncer_process import needs_lookup_password
from .plan import Plan
from .unit_network import is_one_machine, listens_on_network
from .unit_templates import fill

LONGEST_NAME = 63  # PostgreSQL cuts longer ones off in silence
RELOAD = "systemctl reload postgresql"
MONITOR_END = "_monitor"
SAME_HOST = "samehost"  # pg_hba.conf's word for any address of the server itself
SLOW_MS = 2000  # a statement this long gets its plan into the log

Line = tuple[str, str, str, str]  # of pg_hba.conf: type, role, address or "", method


def files(description: Description, plan: Plan) -> tuple[File, ...]:
    """Return the files of PostgreSQL's host.

    Raises:
        InputError: a name cannot stand in SQL.
    """
    name, database = _checked("app.name", description.app.name), description.database
    folder = f"/etc/{name}/postgresql"
    settings, logins = f"/etc/postgresql/{database.version}/main/conf.d/50-{name}.conf", f"{folder}/pg_hba.conf"
    return (
        File(f"{folder}/roles.sql", _roles(description, plan)),
        File(logins, _hba(description, logins), reload=RELOAD),
        File(settings, _settings(description), reload=RELOAD),
    )


def monitor_role(description: Description) -> str:
    """Return the role that looks at figures.

    Raises:
        InputError: the app's role leaves no room for the name.
    """
    role = f"{description.database.role}{MONITOR_END}"
    if len(role) > LONGEST_NAME:
        raise InputError(
            f"database.role has {len(role) - len(MONITOR_END)} characters; with {MONITOR_END} it is a role too, "
            f"and PostgreSQL has room for {LONGEST_NAME}: give it {LONGEST_NAME - len(MONITOR_END)} at most"
        )
    return role


def _roles(description: Description, plan: Plan) -> str:
    database, timeouts = description.database, description.timeouts
    return fill(
        "postgres-roles.sql.j2",
        role=_checked("database.role", database.role),
        monitor=monitor_role(description),
        name=_checked("database.name", database.name),
        connections=plan.server_connections + database.direct,
        statement=timeouts.statement,
        lock=timeouts.lock,
        idle=timeouts.worker,
    )


def _settings(description: Description) -> str:
    listens = is_over_network(description) and not listens_on_network(description)
    return fill("postgresql.conf.j2", database=description.database, listens=listens, slow_ms=SLOW_MS)


def _hba(description: Description, path: str) -> str:
    return fill(
        "pg_hba.conf.j2",
        name=description.app.name,
        path=path,
        database=_checked("database.name", description.database.name),
        lines=list(_lines(description)),
    )


def _lines(description: Description) -> Iterator[Line]:
    role = _checked("database.role", description.database.role)
    yield "local", role, "", "scram-sha-256"
    yield "local", monitor_role(description), "", "scram-sha-256"
    lookup = f"{_checked('app.name', description.app.name)}-pgbouncer"
    looks_up = description.pgbouncer.enabled and description.pgbouncer.auth == "query"
    by_network = needs_lookup_password(description)
    if looks_up and not by_network:
        # PgBouncer looks verifiers up as the account that it is.
        yield "local", lookup, "", "peer"
    needs_tls = description.database.sslmode in ("require", "verify-full")
    for address in _clients(description):
        kind = "hostssl" if needs_tls and address != SAME_HOST else "host"
        for who in (role, *((lookup,) if by_network else ())):
            yield kind, who, address, "scram-sha-256"


def _clients(description: Description) -> tuple[str, ...]:
    """Return the addresses that log in over a network: none where PgBouncer is beside PostgreSQL."""
    if description.database.host.startswith("/") or _is_beside(description):
        return ()
    if listens_on_network(description) or is_one_machine(description):
        return (SAME_HOST,)
    return tuple(map(_address, description.hosts.app))


def _is_beside(description: Description) -> bool:
    """Tell whether PgBouncer answers the network for PostgreSQL, and comes to it by the socket."""
    return listens_on_network(description) and is_over_network(description)


def _address(host: str) -> str:
    if host.lower() in LOCAL:
        return SAME_HOST
    try:
        return str(ipaddress.ip_network(host.strip("[]")))
    except ValueError:
        pass
    if not HOST.fullmatch(host):
        raise InputError(f"hosts.app: {host[:60]!r} is no host's name or address")
    return host


def _checked(key: str, value: str) -> str:
    """Return a name that is one word to SQL, to psql and to pg_hba.conf, whatever stands around it."""
    pattern = NAME if key == "app.name" else ROLE
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InputError(f"{key} is {str(value)[:60]!r}; what it can be: {pattern.pattern}")
    return value
