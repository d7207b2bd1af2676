"""`harden.toml`: what a service is, in one file, from which everything else is sized and rendered.

A section is a dataclass, a key one of its fields with its check and its sentence beside it; the annotated example
and the docs are made of these sentences. No secret is in it: passwords come from files that it names.
Knows the values, not what is made of them. If a check here is missing, a value could become a directive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any

from .errors import InputError

# The user NAME-pgbouncer is of 32 characters at most, which is what Linux takes.
NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,19}[a-z0-9])?")
# Also a file, for a script that is no module of a package: its imports start from its own folder then.
TARGET = re.compile(
    r"(?:[A-Za-z_][A-Za-z0-9_.]*|(?!.*\.\./)[A-Za-z0-9_][A-Za-z0-9_./-]*\.py):[A-Za-z_][A-Za-z0-9_.]*(?:\(\))?"
)
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]")
DOMAIN = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+")
SERVER = re.compile(rf"/[A-Za-z0-9_./-]{{0,90}}|{HOST.pattern}")
PATH = re.compile(r"/[A-Za-z0-9_./@+-]{0,200}")
RELATIVE = re.compile(r"(?!.*(?:^|/)\.\.(?:/|$))[A-Za-z0-9_.][A-Za-z0-9_./-]{0,200}")
OPTIONAL_PATH = re.compile(rf"(?:{PATH.pattern})?")
OPTIONAL_RELATIVE = re.compile(rf"(?:{RELATIVE.pattern})?")
URL_PATH = re.compile(r"/[A-Za-z0-9_./-]{0,200}")
ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
NETWORK = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/\d{1,3})?")
VERSION = re.compile(r"\d{1,3}\.\d{1,3}(?:\.\d{1,3})?")
COMMAND = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{0,500}")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
LONGEST_VALUE = 1000


@dataclass(frozen=True)
class Range:
    """Whole numbers from `low` to `high`."""

    low: int
    high: int


Check = re.Pattern[str] | Range | tuple[str, ...]


def key(default: Any, check: Check, doc: str) -> Any:
    """Declare a key of a section.

    Args:
        default: MISSING when the file must have it.
        check: what a value, or each of a list's, must be: a pattern, a range, or one of some words.
        doc: the sentence of the example and the docs.
    """
    metadata = {"check": check, "doc": doc}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class App:
    """`[app]`: the application."""

    name: str = key(MISSING, NAME, "names the units, the user and the folders; small letters, digits and -")
    target: str = key(MISSING, TARGET, "what is served: module:app, path/to/file.py:app or module:factory()")
    requirements: str = key("requirements.txt", RELATIVE, "what pip installs, seen from the repository's root")
    static: str = key("", OPTIONAL_RELATIVE, 'folder that the front serves itself; "" for none')
    static_url: str = key("/static/", URL_PATH, "where it is served")
    migrate: str = key("", COMMAND, "run once a release, before traffic moves, in the new release's folder")
    health: str = key("/readyz", URL_PATH, "must answer 200 before traffic moves to a release")
    keep: int = key(5, Range(2, 50), "releases that stay on the host")
    secrets: str = key("", OPTIONAL_PATH,
                       "file of NAME=value lines on the host, for root alone; "
                       '"" for /etc/<name>/secrets.env')  # fmt: skip
    calls: tuple[str, ...] = key((), NETWORK,
                                 "networks it calls beside its database, as 0.0.0.0/0 "
                                 "for all; others it cannot reach")  # fmt: skip


@dataclass(frozen=True)
class Hosts:
    """`[hosts]`: where the app runs."""

    app: tuple[str, ...] = key(("localhost",), HOST, "the app's hosts; localhost for one host that has everything")
    cores: int = key(2, Range(1, 512), "processor cores of each")
    memory_mb: int = key(2048, Range(256, 4_000_000), "memory of each")


@dataclass(frozen=True)
class Server:
    """`[server]`: Gunicorn."""

    workers: int = key(0, Range(0, 512), "processes on each host; 0 for one per core, and two at least")
    threads: int = key(8, Range(1, 256), "requests at a time in each")
    worker_class: str = key("gthread", ("gthread", "sync"),
                            "gthread, or sync for an app that is not safe in threads")  # fmt: skip
    max_requests: int = key(20_000, Range(0, 1_000_000), "requests until a worker is replaced; 0 for never")


@dataclass(frozen=True)
class Database:
    """`[database]`: PostgreSQL."""

    name: str = key(MISSING, ROLE, "the database")
    role: str = key(MISSING, ROLE, "the role the app logs in as; no superuser")
    host: str = key("/run/postgresql", SERVER, "the server's socket folder, name or address")
    port: int = key(5432, Range(1, 65535), "the server's port")
    version: int = key(15, Range(13, 30), "the server's major version")
    cores: int = key(2, Range(1, 1024), "the server's processor cores")
    max_connections: int = key(100, Range(10, 10_000), "as the server has it, or will have it")
    superuser_reserved: int = key(3, Range(0, 100), "superuser_reserved_connections")
    reserved: int = key(0, Range(0, 100), "reserved_connections, of PostgreSQL 16")
    direct: int = key(10, Range(0, 5000), "connections for others: migrations, backup, monitoring, people")
    sslmode: str = key("prefer", ("disable", "prefer", "require", "verify-full"), "over a network verify-full")
    ca: str = key("", OPTIONAL_PATH, "file with the server's authority, for verify-full")


@dataclass(frozen=True)
class Bouncer:
    """`[pgbouncer]`: between the app and PostgreSQL."""

    enabled: bool = key(True, ("true", "false"), "false connects the app's pools to PostgreSQL themselves")
    version: str = key("1.18.0", VERSION, "the version on the hosts; Debian 12 has 1.18.0, Debian 13 has 1.24.1")
    place: str = key("app", ("app", "database"), "on each app host, or one on the database's")
    mode: str = key("transaction", ("transaction", "session"), "what a server connection is lent for")
    processes: int = key(1, Range(1, 64), "on each place; it has one thread")
    port: int = key(6432, Range(1, 65535), "its port, and part of its socket's name")
    session_pool: int = key(2, Range(0, 100),
                            "connections of a second entry in session mode, for LISTEN and the like")  # fmt: skip
    auth: str = key("file", ("file", "query"), "where it finds the verifiers: its own file, or a function")
    certificate: str = key("", OPTIONAL_PATH,
                           'beside a database that is reached over a network: file on its host; '
                           '"" makes one for that')  # fmt: skip
    certificate_key: str = key("", OPTIONAL_PATH, "file with its key")


@dataclass(frozen=True)
class Front:
    """`[front]`: what the world speaks to."""

    kind: str = key("nginx", ("nginx", "none"), "nginx on each app host; none where something else is in front")
    domains: tuple[str, ...] = key((), DOMAIN, "the names it answers; none answers whatever it is called")
    certificate: str = key("", OPTIONAL_PATH, 'file with the chain; "" serves plain HTTP')
    certificate_key: str = key("", OPTIONAL_PATH, "file with its key")
    body_mb: int = key(10, Range(1, 10_000), "largest request")
    rate: int = key(20, Range(0, 100_000), "requests a second from one address, with bursts of twice; 0 for any")
    balancer: bool = key(False, ("true", "false"),
                         "HAProxy over the app's hosts, which speak plain HTTP to it then")  # fmt: skip
    balancer_from: tuple[str, ...] = key((), NETWORK,
                                         "the balancer's addresses; the hosts answer nobody else")  # fmt: skip


@dataclass(frozen=True)
class Timeouts:
    """`[timeouts]`: seconds, each below the next, so that the innermost one that can help ends a wait."""

    connect: int = key(2, Range(1, 60), "to PostgreSQL or PgBouncer")
    lock: int = key(4, Range(1, 600), "lock_timeout, on the role")
    query_wait: int = key(5, Range(1, 600), "in PgBouncer's queue")
    statement: int = key(20, Range(1, 3600), "statement_timeout, on the role")
    worker: int = key(30, Range(2, 3600), "Gunicorn's; graceful stops have five seconds less")
    proxy: int = key(35, Range(3, 3600), "the front waits for the app")
    client: int = key(60, Range(4, 7200), "whoever calls, such as a balancer before it")


@dataclass(frozen=True)
class Watch:
    """`[watch]`: who may look at the figures."""

    scrape_from: tuple[str, ...] = key((), NETWORK,
                                        "networks whose Prometheus may read /metrics by the front")  # fmt: skip


@dataclass(frozen=True)
class Description:
    """A whole `harden.toml`.

    Attributes:
        environ: `[environment]`: variables for the app that are no secrets.
    """

    app: App
    database: Database
    hosts: Hosts = Hosts()
    server: Server = Server()
    pgbouncer: Bouncer = Bouncer()
    front: Front = Front()
    timeouts: Timeouts = Timeouts()
    watch: Watch = Watch()
    environ: Mapping[str, str] = field(default_factory=dict)


SECTIONS: dict[str, type[Any]] = {
    "app": App, "hosts": Hosts, "server": Server, "database": Database, "pgbouncer": Bouncer, "front": Front,
    "timeouts": Timeouts, "watch": Watch,
}  # fmt: skip


class DescriptionError(InputError):
    """A description that cannot be used; `problems` has all that is wrong with it, a line each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))
