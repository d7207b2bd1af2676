"""A database that a person names: `--dsn`, or DATABASE_URL; how it is said without its password, and opened.

Names of places in messages come from here, so a password is in none of them. Nothing is set on a connection that a
transaction pooler would give to somebody else's session: timeouts are the caller's, with SET LOCAL.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

import psycopg2
from psycopg2.extensions import connection, make_dsn, parse_dsn

from .errors import CommandError

CONNECT_TIMEOUT = 10  # seconds
_SECRETS = ("password", "sslpassword", "passfile", "sslkey", "oauth_client_secret")
_SCHEME = re.compile(r"^postgres(?:ql)?\+\w+://")  # SQLAlchemy's spelling names a driver


def add_dsn(parser: argparse.ArgumentParser) -> None:
    """Declare `--dsn`."""
    parser.add_argument(
        "--dsn",
        help="DSN or URL (default: DATABASE_URL; keep passwords in PGPASSWORD or ~/.pgpass)",
    )


def chosen_dsn(options: argparse.Namespace) -> str:
    """Return the DSN that `--dsn` or the environment names.

    Raises:
        CommandError: there is none, or it is no DSN.
    """
    text = options.dsn or os.environ.get("DATABASE_URL") or ""
    if not text and not any(os.environ.get(name) for name in ("PGHOST", "PGDATABASE", "PGSERVICE")):
        raise CommandError("no database is named; give --dsn, or set DATABASE_URL")
    text = _SCHEME.sub("postgresql://", text)
    if text.split(":", 1)[0] in ("sqlite", "mysql", "mysql+pymysql", "mariadb", "oracle", "mssql"):
        raise CommandError(f"{text.split(':', 1)[0]} is no PostgreSQL; give a postgresql:// URL")
    try:
        parse_dsn(text)
    except psycopg2.ProgrammingError:
        # libpq's own words repeat the text, and with it what may be a password
        raise CommandError("the DSN cannot be read; a URL is postgresql://user@host:5432/name, and a DSN "
                           "host=... dbname=... user=...") from None  # fmt: skip
    return text


def shown_dsn(dsn: str) -> str:
    """Return a DSN for people: no password in it, and no empty parts."""
    parts = {name: value for name, value in parse_dsn(dsn).items() if name not in _SECRETS}
    return " ".join(f"{name}={value}" for name, value in parts.items() if name in _PLACE) or "the default database"


_PLACE = ("service", "host", "hostaddr", "port", "dbname", "user")


def open_database(dsn: str, application_name: str, **parameters: Any) -> connection:
    """Connect, with a timeout and a name that shows in pg_stat_activity.

    Args:
        dsn: as `chosen_dsn` returned it.
        application_name: "harden doctor".
        **parameters: more of libpq's.

    Raises:
        CommandError: there is no connection; with the server's first reason.
    """
    given = parse_dsn(dsn)
    defaults = {"connect_timeout": str(CONNECT_TIMEOUT), "application_name": application_name}
    try:
        return psycopg2.connect(make_dsn(dsn, **{**defaults, **given, **parameters}))
    except (psycopg2.OperationalError, psycopg2.ProgrammingError, UnicodeDecodeError) as error:
        raise CommandError(f"no connection to {shown_dsn(dsn)}: {first_line(error, dsn)}") from None


def first_line(error: BaseException, dsn: str = "") -> str:
    """Return what the server or libpq says, in one line and without the DSN's password."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    for name in _SECRETS if dsn else ():
        secret = parse_dsn(dsn).get(name)
        if secret:
            text = text.replace(str(secret), "***")
    return text
