"""What PgBouncer of a service is told: entries, addresses, who may log in from where, by description and plan.

Knows no template and no path on a host but the fixed names below /etc/NAME and /run/NAME-pgbouncer. If this is
wrong, the app finds no database, or somebody finds one who should not.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields

from .description import SECTIONS, Description, Range
from .description_rules import is_over_network
from .errors import InputError
from .inputs import Database
from .pgbouncer_versions import Version, read_version
from .plan_sizes import LOOKUPS, Plan

AUTH_DBNAME: Version = (1, 19, 0)
PEERS: Version = (1, 19, 0)
RESERVE_POOL_SIZE: Version = (1, 24, 0)
# Mozilla's guideline 6.0, intermediate; TLS 1.3 has its own.
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
ANYWHERE = ("0.0.0.0/0", "::/0")
LONGEST_ALIAS = 63  # PgBouncer's
SESSION_END = "_session"  # of the name of the entry in session mode
SOCKETS = "/run/postgresql"  # of PostgreSQL on its own host, as Debian has it


@dataclass(frozen=True)
class Entry:
    """A line of [databases].

    Attributes:
        alias: the name that clients ask for.
        host, port, dbname: the server's.
        settings: keys and values of this entry alone.
    """

    alias: str
    host: str
    port: int
    dbname: str
    settings: tuple[tuple[str, str | int], ...]


@dataclass(frozen=True)
class Service:
    """PgBouncer of a service on one place, whatever the process.

    Attributes:
        description, plan: what it is made from.
        version: PgBouncer's.
    """

    description: Description
    plan: Plan
    version: Version

    @property
    def user(self) -> str:
        """The account it runs as, and the role with which it looks up verifiers."""
        return f"{self.description.app.name}-pgbouncer"

    @property
    def etc(self) -> str:
        """The folder of its files."""
        return f"/etc/{self.description.app.name}/pgbouncer"

    @property
    def lookup_role(self) -> str:
        """Who looks verifiers up; "" when they are in a file."""
        return self.user if self.description.pgbouncer.auth == "query" else ""

    @property
    def lookup_alias(self) -> str:
        """The entry that they are looked up in; "" where it is the one that a client asks for."""
        has_own = self.lookup_role and self.version >= AUTH_DBNAME
        return f"{self.description.database.name}_lookup" if has_own else ""

    @property
    def session_alias(self) -> str:
        """The entry in session mode; "" when there is none."""
        return f"{self.description.database.name}{SESSION_END}" if self.plan.session_pool else ""

    @property
    def aliases(self) -> tuple[str, ...]:
        """The names that clients may ask for, the console's included where the app's role may see it."""
        console = "pgbouncer" if self.stats_users else ""
        return tuple(alias for alias in (self.description.database.name, self.session_alias, console) if alias)

    @property
    def stats_users(self) -> tuple[str, ...]:
        """Who may ask the console for figures: the app's role, for its /metrics.

        Before `auth_dbname` a lookup for the console goes to the console, which never answers it.
        """
        return () if self.lookup_role and not self.lookup_alias else (self.description.database.role,)

    @property
    def is_in_network(self) -> bool:
        """Whether clients come over a network; on one machine they have the socket, wherever it stands."""
        return self.description.pgbouncer.place == "database" and is_over_network(self.description)

    @property
    def has_client_tls(self) -> bool:
        """Whether clients have to speak TLS."""
        return self.is_in_network and self.description.database.sslmode != "disable"

    @property
    def server_host(self) -> str:
        """Where the server is: by its socket when PgBouncer is beside it, so that it needs no network itself."""
        return SOCKETS if self.is_in_network else self.description.database.host.strip("[]")

    @property
    def is_server_socket(self) -> bool:
        """Whether the server is reached by a Unix socket."""
        return self.server_host.startswith("/")

    @property
    def shares_port(self) -> bool:
        """Whether several processes listen on one port."""
        return bool(self.listen_addr) and self.description.pgbouncer.processes > 1

    @property
    def listen_addr(self) -> str:
        """The address to listen on; "" for the Unix socket alone.

        A name stands for every address: /etc/hosts often says that a host's own name is 127.0.1.1.
        """
        if not self.is_in_network:
            return ""
        host = self.description.database.host.strip("[]")
        return host if _is_address(host) else "*"

    def folder(self, number: int) -> str:
        """Return the folder of a process's Unix socket."""
        return f"/run/{self.user}/{number}"

    def entries(self) -> tuple[Entry, ...]:
        """Return the lines of [databases]."""
        session = self.plan.session_pool
        own = [self._entry(self.description.database.name, ())]
        if session:
            own.append(self._entry(self.session_alias, (("pool_mode", "session"), *self._small(session))))
        if self.lookup_alias:
            own.append(self._entry(self.lookup_alias, self._small(LOOKUPS)))
        return tuple(own)

    def entry_connections(self) -> int:
        """Return the cap of the app's entry; without an entry of their own, lookups count there too."""
        return self.plan.max_db_connections - self.plan.session_pool - (LOOKUPS if self.lookup_alias else 0)

    def places(self) -> tuple[tuple[str, str], ...]:
        """Return hba.conf's types and addresses: those of the app's hosts, or anywhere when one is a name.

        Raises:
            InputError: it would be anywhere, without TLS.
        """
        if not self.is_in_network:
            return (("local", ""),)
        kind = "hostssl" if self.has_client_tls else "host"
        hosts = [host.strip("[]") for host in self.description.hosts.app]
        names = [host for host in hosts if not _is_address(host)]
        if not names:
            return tuple((kind, str(ipaddress.ip_network(host))) for host in dict.fromkeys(hosts))
        if not self.has_client_tls:
            raise InputError(
                f"hosts.app has the name {names[0]}, of which PgBouncer's hba.conf knows no address, and "
                'database.sslmode = "disable" lets anybody in between read; give addresses, or use "verify-full"'
            )
        return tuple((kind, network) for network in ANYWHERE)

    def _small(self, size: int) -> tuple[tuple[str, str | int], ...]:
        reserve = "reserve_pool_size" if self.version >= RESERVE_POOL_SIZE else "reserve_pool"
        return (("pool_size", size), ("min_pool_size", 0), (reserve, 0), ("max_db_connections", size))

    def _entry(self, alias: str, settings: tuple[tuple[str, str | int], ...]) -> Entry:
        database = self.description.database
        if len(alias) > LONGEST_ALIAS:
            raise InputError(
                f"PgBouncer's entry {alias} has {len(alias)} characters of {LONGEST_ALIAS}; shorten database.name"
            )
        checked = Database(alias, self.server_host, database.port, database.name)
        return Entry(checked.alias, checked.host, checked.port, checked.dbname, settings)


def needs_lookup_password(description: Description) -> bool:
    """Tell whether PgBouncer looks verifiers up over a network, where the server asks it for a password."""
    bouncer, is_beside = description.pgbouncer, description.pgbouncer.place == "database"
    is_socket = description.database.host.startswith("/") or (is_beside and is_over_network(description))
    return bouncer.enabled and bouncer.auth == "query" and not is_socket


def needs_certificate(description: Description) -> bool:
    """Tell whether clients come to PgBouncer over a network, by TLS."""
    bouncer, mode = description.pgbouncer, description.database.sslmode
    is_beside = bouncer.enabled and bouncer.place == "database"
    return is_beside and is_over_network(description) and mode != "disable"


def service(description: Description, plan: Plan) -> Service:
    """Return PgBouncer of a description.

    Raises:
        InputError: its version is not known, or a value could not stand in a file.
    """
    check_values(description)
    if not description.pgbouncer.enabled:
        raise InputError("pgbouncer.enabled is false; there is nothing to render for it")
    database = description.database
    if database.sslmode == "verify-full" and is_over_network(description) and not database.ca:
        raise InputError('database.sslmode is "verify-full" and database.ca is missing; name the file')
    return Service(description, plan, read_version(description.pgbouncer.version))


def check_values(description: Description) -> None:
    """Check every value of a description once more, which may have come from elsewhere than a checked file.

    Raises:
        InputError: a value is not what its key takes.
    """
    for section in SECTIONS:
        values = getattr(description, section)
        for field in fields(values):
            value, check = getattr(values, field.name), field.metadata["check"]
            for one in value if isinstance(value, tuple) else (value,):
                if not _fits(one, check):
                    raise InputError(f"{section}.{field.name} is {str(one)[:60]!r}, which cannot stand in a file")


def _fits(value: object, check: object) -> bool:
    if isinstance(check, Range):
        return isinstance(value, int) and not isinstance(value, bool) and check.low <= value <= check.high
    if isinstance(check, tuple):
        return str(value).lower() in check if isinstance(value, bool) else value in check
    return isinstance(value, str) and check.fullmatch(value) is not None  # type: ignore[attr-defined]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
