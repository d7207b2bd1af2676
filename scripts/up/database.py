"""Where the app's database is: the caller's DSN, an embedded cluster, or wherever the app says itself."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import psycopg2
from psycopg2.extensions import parse_dsn

from backend.errors import SettingsError
from backend.settings import load

from ..errors import CommandError
from ..stack import Stack

DATABASE = "app"


def check(options: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is started.

    Raises:
        CommandError: the DSN is malformed or its server unreachable, or a schema file does not exist.
    """
    if options.dsn is not None:
        _check(options.dsn)
    for name in options.schema or ():
        try:
            with Path(name).open("rb"):
                pass
        except OSError as error:
            raise CommandError(
                f"cannot read {name} ({error.strerror}); give --schema an SQL file or a plain pg_dump"
            ) from None


def is_embedded(options: argparse.Namespace) -> bool:
    """Tell whether the app gets a database of ours, where the caller's PG* variables have no say."""
    return bool(options.schema or options.embedded)


def environment(
    options: argparse.Namespace, stack: Stack, progress: Callable[[str], None]
) -> tuple[dict[str, str], str]:
    """Return what the app's environment gets, and a line about it for people.

    Raises:
        CommandError: a schema file cannot be loaded.
    """
    if options.dsn:
        return _redirected(options.dsn), "your database"
    if is_embedded(options):
        return _embedded(options, stack, progress)
    return {}, "the database that the app itself connects to"


def _redirected(dsn: str) -> dict[str, str]:
    return {"DATABASE_URL": dsn, "HARDEN_REDIRECT_DSN": dsn}


def _check(dsn: str) -> None:
    try:
        load(environ={"DATABASE_URL": dsn})
    except SettingsError as error:
        raise CommandError(str(error).replace("DATABASE_URL (environment)", "--dsn")) from None
    try:
        with closing(psycopg2.connect(dsn, connect_timeout=5)):
            pass
    except psycopg2.Error as error:
        raise CommandError(f"cannot connect to --dsn: {_explained(str(error).strip(), dsn)}") from None
    except (UnicodeError, ValueError) as error:
        raise CommandError(
            f"--dsn cannot be used ({error}); write it in UTF-8, with special characters as %XX"
        ) from None


def _explained(reason: str, dsn: str) -> str:
    """Return libpq's reason with the next step, and without what it quotes of a password that it cut in pieces."""
    password = re.match(r"\w+://[^:/@]*:(.*)@", dsn, re.DOTALL)  # up to the last @, as whoever wrote it meant it
    if password is None or parse_dsn(dsn).get("password") == unquote(password[1]):
        return f"{reason}; check host, port, user and password"
    pieces = [piece for piece in re.split(r"[@/:?#&=]", password[1]) if piece]
    hidden = re.sub(
        r'"[^"]*"', lambda quoted: '"***"' if any(piece in quoted[0] for piece in pieces) else quoted[0], reason
    )
    return f"{hidden}; in a URL's password write @ as %40 and / as %2F"


def _embedded(
    options: argparse.Namespace, stack: Stack, progress: Callable[[str], None]
) -> tuple[dict[str, str], str]:
    files = [Path(name) for name in options.schema or ()]
    if options.pgbouncer != "off" and stack.binaries.pgbouncer is None:
        raise CommandError("PgBouncer is not installed; leave --pgbouncer out, or apt-get install pgbouncer")
    cluster = stack.postgres()
    cluster.create_database(DATABASE, cluster.user)
    for file in files:
        progress(f"loading {file}")
        cluster.load(file, DATABASE)
    url = cluster.url(DATABASE, cluster.user)
    line = "an embedded PostgreSQL that is thrown away afterwards"
    environ = _redirected(url)
    if options.pgbouncer == "off":
        return environ, line
    role = "app_pooled"
    cluster.create_role(role, superuser=True)  # the schema's objects belong to whoever the files say
    bouncer = stack.pgbouncer(cluster, [DATABASE], [role], pool_mode=options.pgbouncer, stats_users=[role])
    assert bouncer is not None  # looked for above
    environ = _redirected(bouncer.url(DATABASE, role))
    environ |= {"DB_PGBOUNCER": options.pgbouncer, "HARDEN_PGBOUNCER_DSN": bouncer.url("pgbouncer", role)}
    return environ, f"{line}, behind PgBouncer ({options.pgbouncer} mode)"
