"""What a configuration is rendered from, checked so that no value can inject a directive."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .errors import InputError

POOL_MODES = ("session", "transaction", "statement")
# What PgBouncer's own parser takes for a key; its documentation promises quoting, the parser refuses it
# (pgbouncer#971). "*" would mean every database, "pgbouncer" is its console.
ALIAS = re.compile(r"[A-Za-z0-9_.-]+")
RESERVED_ALIAS = "pgbouncer"
HOST = re.compile(r"[A-Za-z0-9_./,:@-]+")
PATH = re.compile(r"/[A-Za-z0-9_./@+-]*")
LONGEST_SOCKET_DIR = 92  # with "/.s.PGSQL.65535" and its end it fits the 108 bytes of a socket's address
LONGEST = 1000  # of a path, an address, a verifier
ADDRESS = re.compile(r"[A-Za-z0-9_.:,*-]*")
VERIFIER = re.compile(r"SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+")


@dataclass(frozen=True)
class Database:
    """One entry of PgBouncer's [databases].

    Attributes:
        alias: the name clients ask for; letters, digits, `_`, `.` and `-` alone.
        host: a host name, an address or a socket folder.
        port: the server's port.
        dbname: the database on the server.
        pool_size: server connections for this entry; None for the default.
        pool_mode: None for the default.
    """

    alias: str
    host: str
    port: int
    dbname: str
    pool_size: int | None = None
    pool_mode: str | None = None

    def __post_init__(self) -> None:
        _text("database alias", self.alias, 63)
        _match("database alias", self.alias, ALIAS)
        if self.alias == RESERVED_ALIAS:
            raise InputError("database alias 'pgbouncer' is PgBouncer's console; choose another alias")
        _text("database name", self.dbname, 63)
        _match("database host", self.host, HOST)
        _count("database port", self.port, 1, 65535)
        if self.pool_size is not None:
            _count("pool_size", self.pool_size, 1, 10_000)
        if self.pool_mode is not None:
            _choice("pool_mode", self.pool_mode, POOL_MODES)


@dataclass(frozen=True)
class User:
    """A role that may log in through PgBouncer.

    Attributes:
        name: the role.
        verifier: the SCRAM verifier that the server holds for it, byte for byte.
    """

    name: str
    verifier: str = field(repr=False)

    def __post_init__(self) -> None:
        _text("user name", self.name, 63)
        _match("SCRAM verifier", self.verifier, VERIFIER, secret=True)


@dataclass(frozen=True)
class PgBouncer:
    """One PgBouncer process. Sizes are connections, times seconds.

    Attributes:
        databases, users: who may reach what.
        listen_addr: addresses to listen on; empty for the socket alone.
        listen_port: also part of the socket's name.
        unix_socket_dir, auth_file, logfile, pidfile: absolute paths.
        pool_mode: session, transaction or statement.
        default_pool_size, min_pool_size, reserve_pool_size: per database and user.
        max_db_connections: the cap over all of them.
        max_client_conn: clients at a time.
        query_wait_timeout: longest wait of a client for a server connection.
        idle_transaction_timeout: longest idle time inside a transaction.
        stats_users: users that may look at the console's SHOW commands, and do nothing there.
    """

    databases: tuple[Database, ...]
    users: tuple[User, ...]
    listen_addr: str
    listen_port: int
    unix_socket_dir: str
    auth_file: str
    logfile: str
    pidfile: str
    pool_mode: str = "transaction"
    default_pool_size: int = 20
    min_pool_size: int = 0
    reserve_pool_size: int = 4
    max_db_connections: int = 40
    max_client_conn: int = 400
    query_wait_timeout: int = 8
    idle_transaction_timeout: int = 60
    stats_users: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _match("listen_addr", self.listen_addr, ADDRESS)
        _count("listen_port", self.listen_port, 1, 65535)
        for name in ("unix_socket_dir", "auth_file", "logfile", "pidfile"):
            _match(name, getattr(self, name), PATH)
        if len(self.unix_socket_dir) > LONGEST_SOCKET_DIR:
            raise InputError(
                f"unix_socket_dir has {len(self.unix_socket_dir)} characters; a socket's path has room for "
                f"{LONGEST_SOCKET_DIR}"
            )
        _choice("pool_mode", self.pool_mode, POOL_MODES)
        for name, low in _COUNTS:
            _count(name, getattr(self, name), low, 1_000_000)
        if not self.databases or not self.users:
            raise InputError("PgBouncer needs at least one database and one user")
        _distinct("database alias", [database.alias for database in self.databases])
        _distinct("user", [user.name for user in self.users])
        for name in self.stats_users:
            _text("stats user", name, 63)
            _match("stats user", name, ALIAS)
        _distinct("stats user", list(self.stats_users))
        wanted = self.default_pool_size + self.reserve_pool_size
        if wanted > self.max_db_connections:
            raise InputError(
                f"default_pool_size + reserve_pool_size = {wanted} is above "
                f"max_db_connections={self.max_db_connections}; lower the one or raise the other"
            )


_COUNTS = (
    ("default_pool_size", 1), ("min_pool_size", 0), ("reserve_pool_size", 0), ("max_db_connections", 1),
    ("max_client_conn", 1), ("query_wait_timeout", 1), ("idle_transaction_timeout", 0),
)  # fmt: skip


def _text(what: str, value: str, longest: int) -> None:
    if not isinstance(value, str):
        raise InputError(f"{what} is {type(value).__name__}, not text")
    size = len(value.encode(errors="surrogatepass"))
    if not 1 <= size <= longest:
        raise InputError(f"{what} has {size} bytes; it must have 1 to {longest}")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise InputError(f"{what} {value[:60]!r} is not valid UTF-8")
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise InputError(f"{what} {value!r} contains a control character; a file line cannot hold it")


def _match(what: str, value: str, pattern: re.Pattern[str], secret: bool = False) -> None:
    if not isinstance(value, str) or len(value) > LONGEST or not pattern.fullmatch(value):
        shown = "" if secret else f" {str(value)[:60]!r}"
        raise InputError(f"{what}{shown} cannot stand in this file; what can: {pattern.pattern}")


def _count(what: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{what}={repr(value)[:60]} is not a whole number from {low} to {high}")


def _distinct(what: str, values: list[str]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise InputError(f"{what} {twice[0]!r} stands there twice; PgBouncer would take the last one in silence")


def _choice(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{what}={repr(value)[:60]} is not one of {', '.join(allowed)}")
