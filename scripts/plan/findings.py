"""Where a live server differs from a plan, and what mends each difference.

Knows what the plan needs of PostgreSQL and PgBouncer, not how they are asked. If it is silent about a
difference, the plan's promise does not hold on that server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.description import Description
from deploy.plan import Plan

from .server import RESERVED_ROLE, Console, Role, Server

RENDER = "render PgBouncer's files again and RELOAD it; without harden.toml, edit pgbouncer.ini"
LONGEST_IDLE = 600  # seconds that the pool and PgBouncer keep an idle connection


@dataclass(frozen=True)
class Finding:
    """One difference.

    Attributes:
        text: what is there and what is needed.
        mend: an SQL statement, or a key of harden.toml to change.
    """

    text: str
    mend: str


def of_server(server: Server, description: Description, plan: Plan) -> list[Finding]:
    """Return the differences of a PostgreSQL."""
    found = [*_numbers(server, description), *_database(server, description, plan), *_others(server, description)]
    if server.role is None:
        name = _identifier(server.role_name)
        found.append(Finding(f"there is no role {server.role_name}", f"CREATE ROLE {name} LOGIN;"))
        return found
    return [*found, *_role(server.role, plan), *_timeouts(server.role, description)]


def _numbers(server: Server, description: Description) -> Iterator[Finding]:
    database = description.database
    planned = {
        "max_connections": ("max_connections", database.max_connections),
        "superuser_reserved_connections": ("superuser_reserved", database.superuser_reserved),
        "reserved_connections": ("reserved", database.reserved),
    }
    for name, (key, value) in planned.items():
        there = server.numbers.get(name)
        if there is not None and there != value:
            pending = "; a restart that changes it is pending" if name in server.pending else ""
            yield Finding(
                f"{name} is {there} and database.{key}={value}{pending}", _number_mend(name, key, there, value)
            )
    if server.version != database.version:
        text = f"the server is PostgreSQL {server.version} and database.version={database.version}"
        yield Finding(text, f"set database.version = {server.version} in harden.toml")


def _number_mend(name: str, key: str, there: int, planned: int) -> str:
    statement = f"ALTER SYSTEM SET {name} = {planned}; -- then restart PostgreSQL"
    return f"{statement}; or set database.{key} = {there} in harden.toml"


def _database(server: Server, description: Description, plan: Plan) -> Iterator[Finding]:
    needed = plan.server_connections + description.database.direct
    name = _identifier(server.database)
    if server.database_limit is None:
        owner = _identifier(server.role_name)
        yield Finding(f"there is no database {server.database}", f"CREATE DATABASE {name} OWNER {owner};")
    elif 0 <= server.database_limit < needed:
        text = (
            f"database {server.database} has CONNECTION LIMIT {server.database_limit}, and the plan needs {needed}"
        )
        yield Finding(text, f"ALTER DATABASE {name} CONNECTION LIMIT {needed};")


def _others(server: Server, description: Description) -> Iterator[Finding]:
    direct = description.database.direct
    if server.others > direct:
        yield Finding(
            f"other roles have {server.others} connections now, and database.direct={direct}",
            f"set database.direct = {server.others} in harden.toml, or end some of them",
        )


def _role(role: Role, plan: Plan) -> Iterator[Finding]:
    name = _identifier(role.name)
    if role.is_superuser:
        yield Finding(
            f"role {role.name} is a superuser: it also takes the connections reserved for administrators",
            f"ALTER ROLE {name} NOSUPERUSER;",
        )
    elif role.uses_reserved:
        text = f"role {role.name} may use reserved_connections, so that monitoring can be locked out"
        yield Finding(text, f"REVOKE {RESERVED_ROLE} FROM {name};")
    if 0 <= role.limit < plan.server_connections and not role.is_superuser:
        yield Finding(
            f"role {role.name} has CONNECTION LIMIT {role.limit}, and the plan opens {plan.server_connections}",
            f"ALTER ROLE {name} CONNECTION LIMIT {plan.server_connections};",
        )


def _timeouts(role: Role, description: Description) -> Iterator[Finding]:
    rungs = {
        "lock_timeout": description.timeouts.lock,
        "statement_timeout": description.timeouts.statement,
    }
    for name, seconds in rungs.items():
        there = role.timeouts_ms.get(name)
        if there != seconds * 1000:
            key = f"timeouts.{name.removesuffix('_timeout')}={seconds}"
            yield Finding(f"{name} of role {role.name} is {_shown(there)} and {key}", _set(role, name, seconds))
    name = "idle_in_transaction_session_timeout"
    if not role.timeouts_ms.get(name):
        text = f"{name} of role {role.name} is {_shown(role.timeouts_ms.get(name))}: a forgotten transaction stays"
        yield Finding(text, _set(role, name, description.timeouts.worker))  # as rendered
    name = "idle_session_timeout"
    there = role.timeouts_ms.get(name) or 0
    if 0 < there < LONGEST_IDLE * 1000:
        text = f"{name} of role {role.name} is {_shown(there)}: it closes connections that the pools keep"
        yield Finding(text, _set(role, name, 0))


def _set(role: Role, name: str, seconds: int) -> str:
    return f"ALTER ROLE {_identifier(role.name)} SET {name} = '{seconds}s';"


def _shown(ms: float | None) -> str:
    if ms is None:
        return "not known"
    return f"{ms / 1000:g} s" if ms else "off"


def of_console(console: Console, description: Description, plan: Plan) -> list[Finding]:
    """Return the differences of a PgBouncer, as its console tells them."""
    wanted = {
        "max_client_conn": plan.max_client_conn,
        "query_wait_timeout": description.timeouts.query_wait,
        "reserve_pool_size": plan.reserve_pool_size,
    }
    found = [
        Finding(f"{name} is {console.config[name]} and the plan has {value}", RENDER)
        for name, value in wanted.items()
        if name in console.config and float(console.config[name]) != value
    ]
    entry = _entry_of(console, description)
    if entry is None:
        return [*found, Finding(f"no entry leads to database {description.database.name}", RENDER)]
    return [*found, *_entry(console, entry, description, plan)]


def _entry_of(console: Console, description: Description) -> Mapping[str, Any] | None:
    """Return the app's entry: of those that lead to its database, the one that is not for sessions alone."""
    leading = [entry for entry in console.entries if entry["database"] == description.database.name]
    return min(leading, key=lambda entry: entry.get("pool_mode") == "session", default=None)


def _entry(console: Console, entry: Mapping[str, Any], description: Description, plan: Plan) -> Iterator[Finding]:
    name = entry["name"]
    mode = entry.get("pool_mode") or console.config.get("pool_mode")
    if mode != description.pgbouncer.mode:
        text = f"pool_mode of {name} is {mode} and pgbouncer.mode={description.pgbouncer.mode}"
        yield Finding(text, RENDER)
    if entry["pool_size"] != plan.pool_size:
        yield Finding(f"pool_size of {name} is {entry['pool_size']} and the plan has {plan.pool_size}", RENDER)
    cap = entry["max_connections"]
    if not plan.pool_size <= cap <= plan.max_db_connections:
        text = f"max_db_connections of {name} is {cap or 'not set'} and the plan has {plan.max_db_connections}"
        yield Finding(text, RENDER)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
