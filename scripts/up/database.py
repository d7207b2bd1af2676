"""Where the app's database is: the caller's DSN, an embedded cluster, or wherever the app says itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2

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
        if not Path(name).is_file():
            raise CommandError(f"{name} does not exist; give --schema an SQL file or a plain pg_dump")


def environment(
    options: argparse.Namespace, stack: Stack, progress: Callable[[str], None]
) -> tuple[dict[str, str], str]:
    """Return what the app's environment gets, and a line about it for people.

    Raises:
        CommandError: a schema file cannot be loaded.
    """
    if options.dsn:
        return _redirected(options.dsn), "your database"
    if options.schema or options.embedded:
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
    except psycopg2.OperationalError as error:
        raise CommandError(f"cannot connect to --dsn: {str(error).strip()}; check host, port, user and password") from None
    except (UnicodeError, ValueError) as error:
        raise CommandError(f"--dsn cannot be used ({error}); write it in UTF-8, with special characters as %XX") from None


def _embedded(
    options: argparse.Namespace, stack: Stack, progress: Callable[[str], None]
) -> tuple[dict[str, str], str]:
    files = [Path(name) for name in options.schema or ()]
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
    bouncer = stack.pgbouncer(cluster, [DATABASE], [role], pool_mode=options.pgbouncer)
    if bouncer is None:
        raise CommandError("PgBouncer is not installed; leave --pgbouncer out, or apt-get install pgbouncer")
    environ = _redirected(bouncer.url(DATABASE, role))
    return {**environ, "DB_PGBOUNCER": options.pgbouncer}, f"{line}, behind PgBouncer ({options.pgbouncer} mode)"
