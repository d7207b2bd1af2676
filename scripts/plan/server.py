"""What a live PostgreSQL says about itself, or the PgBouncer before it: read-only, with short timeouts.

Knows SQL and nothing of plans. The password comes from PGPASSWORD, `~/.pgpass` or DATABASE_URL in the
environment, never from a command line; no message repeats it.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from ..errors import CommandError

CONNECT_SECONDS = 5
ANSWER_SECONDS = 15.0  # for all questions together; through PgBouncer the first waits in its queue
# For the transaction alone: through PgBouncer a plain SET would stay with the server connection.
LIMITS = "SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '1s'"
NUMBERS = ("max_connections", "superuser_reserved_connections", "reserved_connections", "server_version_num")
TIMEOUTS = (
    "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
)  # fmt: skip
RESERVED_ROLE = "pg_use_reserved_connections"
MS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "": 1}


@dataclass(frozen=True)
class Role:
    """A role as the server has it.

    Attributes:
        limit: its CONNECTION LIMIT; -1 for none.
        uses_reserved: whether it may use reserved_connections.
        timeouts_ms: what its sessions in the database start with, by name; 0 is off, None is not known.
    """

    name: str
    is_superuser: bool
    limit: int
    uses_reserved: bool
    timeouts_ms: Mapping[str, float | None]


@dataclass(frozen=True)
class Server:
    """A PostgreSQL.

    Attributes:
        numbers: settings of NUMBERS that it has.
        role: None when there is none of that name.
        database: its name.
        database_limit: its CONNECTION LIMIT, -1 for none; None when there is no such database.
        others: connections of other roles at this moment.
        is_pooled: whether a PgBouncer, or something like it, stands between.
        pending: settings that a restart will change.
    """

    numbers: Mapping[str, int]
    role_name: str
    role: Role | None
    database: str
    database_limit: int | None
    others: int
    is_pooled: bool
    pending: frozenset[str] = frozenset()

    @property
    def version(self) -> int:
        """The major version."""
        return self.numbers["server_version_num"] // 10_000


@dataclass(frozen=True)
class Wanted:
    """A role and a database to look for, None for those connected, and what sessions of anybody start with."""

    role: str | None
    database: str | None
    defaults: Mapping[str, float | None]


@dataclass(frozen=True)
class Console:
    """PgBouncer's console.

    Attributes:
        version: as it says.
        config: SHOW CONFIG.
        entries: SHOW DATABASES, a mapping for each but the console's own.
    """

    version: str
    config: Mapping[str, str]
    entries: tuple[Mapping[str, Any], ...] = field(default=())


def dsn_of(given: str, environ: Mapping[str, str]) -> str:
    """Return the DSN to use: the one given, or DATABASE_URL.

    Args:
        given: "" for DATABASE_URL.
        environ: the environment.

    Raises:
        CommandError: it is malformed, not there, or has a password on the command line.
    """
    dsn = given or environ.get("DATABASE_URL", "")
    if not dsn:
        raise CommandError("--dsn has no DSN and DATABASE_URL is not set; give the one or set the other")
    try:
        parts = parse_dsn(dsn)
    except (psycopg2.Error, UnicodeError, ValueError):  # its words may quote a piece of a password
        raise CommandError(
            "--dsn is no PostgreSQL URL or DSN; write postgresql://user@host:5432/dbname or "
            "'host=... dbname=... user=...'"
        ) from None
    if given and {"password", "sslpassword"} & set(parts):
        raise CommandError(
            "--dsn has a password in it, which everybody on this machine sees in the process list; leave it out "
            "and set PGPASSWORD or ~/.pgpass, or set DATABASE_URL and give --dsn alone"
        )
    return str(make_dsn(dsn, connect_timeout=CONNECT_SECONDS, application_name="harden plan"))


def look(dsn: str, role: str | None, database: str | None) -> Server | Console:
    """Ask a server about itself.

    Args:
        dsn: where it is.
        role: the role that the app will have; None for the one that connects.
        database: the app's; None for the one connected to.

    Raises:
        CommandError: it does not answer, or not as PostgreSQL does.
    """
    with _connected(dsn) as conn:
        if "bouncer" in (conn.get_parameter_status("server_version") or ""):
            return _console(conn)
        conn.set_session(readonly=True)  # goes into BEGIN: nothing stays with a pooled connection
        with conn.cursor() as cursor:
            defaults = _defaults(cursor)  # before we set some of them for ourselves
            cursor.execute(LIMITS)
            return _server(conn, cursor, Wanted(role, database, defaults))


@contextmanager
def _connected(dsn: str) -> Iterator[Any]:
    advice = "check host, port, user and password (PGPASSWORD, ~/.pgpass)"
    late = threading.Event()
    try:
        with closing(psycopg2.connect(dsn)) as conn, _deadline(conn, late):
            advice = "is it PostgreSQL, or PgBouncer's console?"
            yield conn
    except psycopg2.Error as error:
        if late.is_set():
            said = f"--dsn: connected, but no answer within {ANSWER_SECONDS:g} s"
            raise CommandError(f"{said}; is PgBouncer's queue full, or paused?") from None
        raise CommandError(f"--dsn: {_said(error)}; {advice}") from None


@contextmanager
def _deadline(conn: Any, late: threading.Event) -> Iterator[None]:
    """End the connection's wait when time is up: a server's own limits do not count while PgBouncer queues."""

    def end() -> None:
        late.set()
        with socket.socket(fileno=os.dup(conn.fileno())) as twin:
            twin.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(ANSWER_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _said(error: psycopg2.Error) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    for secret in filter(None, (os.environ.get("PGPASSWORD"), _password(os.environ.get("DATABASE_URL", "")))):
        text = text.replace(secret, "***")
    return text


def _password(dsn: str) -> str | None:
    try:
        return parse_dsn(dsn).get("password") if dsn else None
    except (psycopg2.Error, UnicodeError, ValueError):
        return None


def _console(conn: Any) -> Console:
    conn.autocommit = True  # the console knows no BEGIN
    with conn.cursor() as cursor:
        config = {row["key"]: row["value"] for row in _rows(cursor, "SHOW CONFIG")}
        entries = tuple(row for row in _rows(cursor, "SHOW DATABASES") if row["name"] != "pgbouncer")
        version = str(next(iter(_rows(cursor, "SHOW VERSION")[0].values())))
    return Console(version, config, entries)


def _rows(cursor: Any, statement: str, values: Any = None) -> list[dict[str, Any]]:
    cursor.execute(statement, values)
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _server(conn: Any, cursor: Any, wanted: Wanted) -> Server:
    [me] = _rows(cursor, "SELECT current_user AS role, current_database() AS database, pg_backend_pid() AS pid")
    role, database = wanted.role or me["role"], wanted.database or me["database"]
    numbers = _rows(
        cursor, "SELECT name, setting, pending_restart FROM pg_settings WHERE name = ANY(%s)", (list(NUMBERS),)
    )
    [others] = _rows(cursor, OTHERS, (role,))
    limits = _rows(cursor, "SELECT datconnlimit FROM pg_database WHERE datname = %s", (database,))
    return Server(
        numbers={row["name"]: int(row["setting"]) for row in numbers},
        role_name=role,
        role=_role(cursor, role, database, wanted.defaults),
        database=database,
        database_limit=limits[0]["datconnlimit"] if limits else None,
        others=others["count"],
        is_pooled=conn.info.backend_pid != me["pid"],  # a pooler's clients have a number that it made up
        pending=frozenset(row["name"] for row in numbers if row["pending_restart"]),
    )


# Whoever may not see a session's columns still sees whose it is; servers that only receive WAL have no database.
OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE usename IS NOT NULL AND datid IS NOT NULL AND usename <> %s AND pid <> pg_backend_pid()
  AND coalesce(backend_type, 'client backend') = 'client backend'
"""
ROLE = "SELECT oid, rolsuper, rolconnlimit FROM pg_roles WHERE rolname = %s"
# What our own role or database sets says nothing about another's.
DEFAULTS = """
SELECT name, CASE WHEN source IN ('default', 'configuration file', 'command line', 'environment variable')
                  THEN setting END AS value
FROM pg_settings WHERE name = ANY(%s)
"""
# The most particular first: role in database, role, database, everybody.
SET_FOR = """
SELECT setconfig FROM pg_db_role_setting
WHERE setrole IN (0, %(role)s)
  AND setdatabase IN (0, coalesce((SELECT oid FROM pg_database WHERE datname = %(name)s), 0))
ORDER BY setrole <> 0 DESC, setdatabase <> 0 DESC
"""


def _role(cursor: Any, name: str, database: str, defaults: Mapping[str, float | None]) -> Role | None:
    found = _rows(cursor, ROLE, (name,))
    if not found:
        return None
    row = found[0]
    return Role(
        name=name,
        is_superuser=row["rolsuper"],
        limit=row["rolconnlimit"],
        uses_reserved=_uses_reserved(cursor, name),
        timeouts_ms={**defaults, **_timeouts(cursor, row["oid"], database)},
    )


def _uses_reserved(cursor: Any, name: str) -> bool:
    statement = "SELECT pg_has_role(%s, oid, 'USAGE') AS may FROM pg_roles WHERE rolname = %s"
    return any(row["may"] for row in _rows(cursor, statement, (name, RESERVED_ROLE)))


def _timeouts(cursor: Any, role: int, database: str) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for row in _rows(cursor, SET_FOR, {"role": role, "name": database}):
        for setting in row["setconfig"] or ():
            name, _, value = setting.partition("=")
            if name in TIMEOUTS:
                found.setdefault(name, milliseconds(value))
    return found


def _defaults(cursor: Any) -> dict[str, float | None]:
    rows = _rows(cursor, DEFAULTS, (list(TIMEOUTS),))
    return {row["name"]: milliseconds(row["value"]) if row["value"] is not None else None for row in rows}


def milliseconds(text: str) -> float | None:
    """Return a setting's time in ms as PostgreSQL reads it; None when it cannot be read."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d|)\s*", text)
    return float(found[1]) * MS[found[2]] if found else None
