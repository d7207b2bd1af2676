"""PgBouncer's files of a service: an ini for each process, userlist.txt or auth_query.sql, and hba.conf.

Fills in templates from `pgbouncer_process`; computes no size and no verifier. If this is wrong, PgBouncer does not
start, or starts with a directive that somebody else chose.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace

import jinja2

from . import render
from .description import Description
from .errors import InputError
from .files import File
from .inputs import User
from .pgbouncer_process import ANYWHERE, CIPHERS, PEERS, Service, service
from .pgbouncer_versions import TLS_OF_OPENSSL, keys_of
from .plan_sizes import LOOKUPS, Plan

KEY = re.compile(r"(\w+) *=")
NO_TEXT = re.compile(r"[\0-\x1f\x7f\ud800-\udfff]")
LONGEST_PASSWORD = 200  # of a role of ours; before 1.25 PgBouncer crashes from 1024 on (pgbouncer#1215)


def files(
    description: Description, plan: Plan, verifiers: Mapping[str, str], lookup_password: str = ""
) -> tuple[File, ...]:
    """Return PgBouncer's files; none when the description does without it.

    Args:
        description: the service.
        plan: its sizes.
        verifiers: the server's SCRAM verifier of the app's role by its name; used with auth = "file".
        lookup_password: with auth = "query" and a server that is no Unix socket, the plain password of the role
            NAME-pgbouncer there. By a socket the server knows it as the account that it is.

    Raises:
        InputError: something is missing, or cannot stand in these files.
    """
    if not description.pgbouncer.enabled:
        return ()
    here = service(description, plan)
    users = _users(here, verifiers, lookup_password)
    values = _values(here) | {"users": users, "auth_file": f"{here.etc}/userlist.txt" if users else ""}
    found = [_ini(here, number, values) for number in (*_numbers(here), *_spares(here))]
    found.append(_of_all(here, "hba.conf", values))
    if users:
        found.append(replace(_of_all(here, "userlist.txt", values), is_secret=True))
    if here.lookup_role:
        found.append(File(f"{here.etc}/auth_query.sql", _fill("auth_query.sql", values)))
    return tuple(found)


def lookup_files(description: Description, plan: Plan) -> tuple[File, ...]:
    """Return what PostgreSQL's host has of PgBouncers on other hosts: the function that they ask, if they do."""
    if not (description.pgbouncer.enabled and description.pgbouncer.auth == "query"):
        return ()
    here = service(description, plan)
    folder = f"/etc/{description.app.name}/postgresql"
    return (File(f"{folder}/auth_query.sql", _fill("auth_query.sql", _values(here))),)


def _fill(name: str, values: Mapping[str, object]) -> str:
    return _environment().get_template(f"{name}.j2").render(values)


def _of_all(here: Service, name: str, values: Mapping[str, object]) -> File:
    """Return a file that all processes read."""
    reload = f"systemctl reload '{here.user}@*.service'"
    return File(f"{here.etc}/{name}", _fill(name, values), 0o640, group=here.user, reload=reload)


@functools.cache
def _environment() -> jinja2.Environment:
    return render.pgbouncer_environment()


def _numbers(here: Service) -> range:
    return range(1, here.description.pgbouncer.processes + 1)


def _spares(here: Service) -> range:
    """Return the numbers of processes that run only while another one restarts."""
    processes = here.description.pgbouncer.processes
    return range(processes + 1, processes + 1 + here.plan.spares)


def _users(here: Service, verifiers: Mapping[str, str], lookup_password: str) -> list[dict[str, str]]:
    """Return the lines of userlist.txt, in the names of its template."""
    role = here.description.database.role
    if not here.lookup_role:
        if role not in verifiers:
            raise InputError(f"there is no verifier for the role {role}; compute it, or read it from pg_authid")
        user = User(role, verifiers[role])
        return [{"name": user.name, "verifier": user.verifier}]
    if here.is_server_socket:
        return []
    if not 1 <= len(lookup_password) <= LONGEST_PASSWORD or NO_TEXT.search(lookup_password):
        raise InputError(
            f"the role {here.lookup_role} needs a password, with which PgBouncer looks up verifiers over the "
            f"network: 1 to {LONGEST_PASSWORD} characters, no control characters"
        )
    return [{"name": here.lookup_role, "verifier": lookup_password}]


def _ini(here: Service, number: int, values: dict[str, object]) -> File:
    text = _fill("host.ini", values | {"number": number, "unix_socket_dir": here.folder(number)})
    written = {found[1] for found in map(KEY.match, text.partition("[pgbouncer]")[2].splitlines()) if found}
    lacking = sorted(written - keys_of(here.version))
    if lacking:  # a fault of the template; better here than on a host that does not come up
        raise InputError(f"PgBouncer {here.description.pgbouncer.version} has no {', '.join(lacking)}")
    return File(
        f"{here.etc}/pgbouncer-{number}.ini", text, 0o640, group=here.user,
        reload=f"systemctl reload {here.user}@{number}.service",
    )  # fmt: skip


def _values(here: Service) -> dict[str, object]:
    """Return the values that all processes have."""
    description, plan, timeouts = here.description, here.plan, here.description.timeouts
    peers = _numbers(here) if here.shares_port and here.version >= PEERS else ()
    return {
        "version": description.pgbouncer.version,
        "keys": keys_of(here.version),
        "processes": description.pgbouncer.processes,
        "entries": here.entries(),
        "session_alias": here.session_alias,
        "lookup_alias": here.lookup_alias,
        "lookup_role": here.lookup_role,
        "account": here.user,
        "lookups": LOOKUPS,
        "auth_query": f'SELECT role, verifier FROM "{here.user}".verifier_of($1)',
        "dbname": description.database.name,
        "role": description.database.role,
        "hba_file": f"{here.etc}/hba.conf",
        "places": here.places(),
        "is_anywhere": here.places()[0][1] in ANYWHERE,
        "aliases": here.aliases,
        "listen_addr": here.listen_addr,
        "listen_port": description.pgbouncer.port,
        "shares_port": here.shares_port,
        "peers": [{"number": number, "folder": here.folder(number)} for number in peers],
        "is_socket": here.is_server_socket,
        **_tls(here),
        "pool_mode": description.pgbouncer.mode,
        "default_pool_size": plan.pool_size,
        "min_pool_size": plan.min_pool_size,
        "reserve_pool_size": plan.reserve_pool_size,
        "max_db_connections": here.entry_connections(),
        "max_client_conn": plan.max_client_conn,
        "query_wait_timeout": timeouts.query_wait,
        "server_connect_timeout": timeouts.connect,
        "idle_transaction_timeout": timeouts.worker,
        "stats_users": here.stats_users,
    }


def _tls(here: Service) -> dict[str, str]:
    database = here.description.database
    has_any = here.has_client_tls or not here.is_server_socket
    return {
        "certificate": f"{here.etc}/server.crt" if here.has_client_tls else "",
        "certificate_key": f"{here.etc}/server.key" if here.has_client_tls else "",
        "server_sslmode": "disable" if here.is_server_socket else database.sslmode,
        "server_ca": database.ca if database.sslmode == "verify-full" and not here.is_server_socket else "",
        "tls_ciphers": CIPHERS if has_any and here.version < TLS_OF_OPENSSL else "",
    }
