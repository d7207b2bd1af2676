"""One line in the log when the first connection is there: the pool's and the server's effective settings.

Asks the server one question, on a connection that was opened anyway; nothing connects for this alone, except
where HARDEN_CONNECTION_BUDGET=refuse asks for an answer before the first request. Of several workers of one
service one writes the line, when they share HARDEN_RUN_DIR; a warning comes from there too.
Must not import Flask. If this is wrong, the first request fails or waits for a log line: whatever goes wrong here
is swallowed, but for the refusal.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection, cursor, parse_dsn

from . import opener
from .budget import Limits, over
from .errors import AppLoadError, SettingsError
from .pgbouncer_stats import ask
from .pool_options import PoolOptions
from .settings import Settings
from .surroundings import Environment, environment

log = logging.getLogger(__name__)
_QUESTION = """
    SELECT current_setting('server_version'), current_setting('max_connections')::int,
           current_setting('superuser_reserved_connections')::int
             + COALESCE(NULLIF(current_setting('reserved_connections', true), '')::int, 0),
           NULLIF(r.rolconnlimit, -1), NULLIF(d.datconnlimit, -1), r.rolsuper,
           current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'),
           pg_is_in_recovery()
    FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()
"""
_lock = threading.Lock()  # guards who speaks; nothing is asked while it is held
_settings: Settings | None = None


def start(settings: Settings) -> None:
    """Write the line when the first connection of a pool is there."""
    global _settings
    with _lock:
        _settings = settings
    opener.opened = _speak


def stop() -> None:
    """Write none."""
    opener.opened = None


def _speak(conn: Any, options: PoolOptions, arguments: dict[str, Any]) -> None:
    """Say it once in this process, and no more in any case."""
    with _lock:
        if opener.opened is None:
            return
        opener.opened = None
    settings = _settings
    if settings is None or conn.info.transaction_status != TRANSACTION_STATUS_IDLE or not _is_first(settings):
        return
    with suppress(Exception):  # the request that opened this connection wants nothing but the connection
        surroundings = environment()
        row = _asked(conn)
        limits = limits_of(row, settings)
        _loud().info("%s", line(settings, options, arguments, row, surroundings))
        problem = problem_of(settings, surroundings, limits)
        if problem and settings["HARDEN_CONNECTION_BUDGET"] != "off":
            _loud().warning("too many connections possible: %s", problem)


def _loud() -> logging.Logger:
    """Return the logger that shows a line: ours, or Gunicorn's where the app has set up no logging."""
    server = logging.getLogger("gunicorn.error")
    return log if log.isEnabledFor(logging.INFO) or not server.handlers else server


def _is_first(settings: Settings) -> bool:
    """Tell whether no other worker of this service has said it: the first makes a file in their folder."""
    folder = settings["HARDEN_RUN_DIR"]
    if not folder or not Path(folder).is_dir():
        return True
    try:
        os.close(os.open(Path(folder) / f"started-{os.getppid()}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def _asked(conn: Any) -> tuple[Any, ...]:
    """Ask, in a transaction of its own that is rolled back; in autocommit there is none."""
    try:
        with closing(cursor(conn)) as asking:  # the driver's own: no monitor, no factory of the app's
            asking.execute(_QUESTION)
            return tuple(asking.fetchone() or ())
    finally:
        if conn.info.transaction_status != TRANSACTION_STATUS_IDLE:
            connection.rollback(conn)


def limits_of(row: tuple[Any, ...], settings: Settings) -> Limits | None:
    """Return what bounds the service: the server's limits, or PgBouncer's where its console is known."""
    if settings["DB_PGBOUNCER"] == "off":
        return Limits(row[1], 0 if row[5] else row[2], None if row[5] else row[3], row[4])
    console = settings["HARDEN_PGBOUNCER_DSN"]
    if not console:
        return None
    (config,) = ask(console, ("SHOW CONFIG",))
    known = {each["key"]: each["value"] for each in config}
    return Limits(int(known["max_client_conn"]), is_bouncer=True)


def problem_of(settings: Settings, surroundings: Environment, limits: Limits | None) -> str:
    """Return why the connections do not fit; "" when they do, and where the number of workers is not known."""
    workers = settings["WORKERS"] or surroundings.workers
    return over(workers, settings.pool_max, limits) if workers and limits else ""


def line(settings: Settings, options: PoolOptions, arguments: dict[str, Any], row: tuple[Any, ...],
         surroundings: Environment) -> str:  # fmt: skip
    """Return the line; nothing in it is secret."""
    workers = settings["WORKERS"] or surroundings.workers
    most = settings.pool_max
    service = f"{workers} workers x {most} = {workers * most} connections" if workers else "workers unknown"
    version, allowed, reserved, of_role = row[0].split()[0], row[1], row[2], row[3]
    role = f", role {of_role}" if of_role is not None else ""
    through = "" if settings["DB_PGBOUNCER"] == "off" else f" through PgBouncer ({settings['DB_PGBOUNCER']})"
    replica = ", a replica" if row[8] else ""
    return (
        f"pool {settings['DB_POOL_MIN']}..{most} timeout={options.timeout:g}s "
        f"max_lifetime={options.max_lifetime or 0:g}s; {service}; PostgreSQL {version}{replica} "
        f"{_place(arguments)}{through}: max_connections={allowed} ({reserved} reserved{role}) "
        f"statement_timeout={row[6]} idle_in_transaction_session_timeout={row[7]}; {surroundings}"
    )


def _place(arguments: dict[str, Any]) -> str:
    known = {**(parse_dsn(arguments["dsn"]) if arguments.get("dsn") else {}), **arguments}
    return f"{known.get('host') or 'local'}:{known.get('port') or 5432}/{known.get('dbname') or ''}"


def refuse_over_budget(settings: Settings) -> None:
    """Connect once and see whether all workers' connections fit, where HARDEN_CONNECTION_BUDGET=refuse.

    Raises:
        AppLoadError: they do not; or the server cannot be asked.
        SettingsError: nothing says which server.
    """
    if settings["HARDEN_CONNECTION_BUDGET"] != "refuse":
        return
    dsn = settings["HARDEN_REDIRECT_DSN"] or settings["DATABASE_URL"]
    if dsn is None:
        raise SettingsError(["HARDEN_CONNECTION_BUDGET=refuse needs DATABASE_URL, to ask the server"])
    try:
        with closing(psycopg2.connect(dsn, connect_timeout=5)) as conn:
            limits = limits_of(_asked(conn), settings)
    except psycopg2.Error as error:
        said = str(error).strip().splitlines()[0]
        raise AppLoadError(f"HARDEN_CONNECTION_BUDGET=refuse, and the server cannot be asked: {said}") from None
    problem = problem_of(settings, environment(), limits)
    if problem:
        raise AppLoadError(problem)
