"""`harden up APP`: serves an app unedited: Gunicorn, pooled connections, health endpoints."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from backend.errors import SettingsError
from backend.importing import app_folder, split_target
from backend.settings import load

from ..errors import CommandError
from ..progress import Progress
from ..stack import Stack
from ..stack.web import Web, open_listener
from . import database, interpreter

EXAMPLES = """\
examples:
  scripts/harden up path/to/app.py:app                          its own database settings, untouched
  scripts/harden up 'shop:create_app()' --dsn "$DATABASE_URL"   every connection goes to that DSN
  scripts/harden up app.py:app --schema schema.sql              an embedded PostgreSQL with that schema
  scripts/harden up app.py:app --requirements requirements.txt  packages in an environment of their own
  scripts/harden up backend.shop --schema backend/shop/schema.sql
"""
BOOT_SECONDS = 60.0
DEFAULT_PORT = 8000
MOST_WATCHED = 500
NOT_WATCHED = (*interpreter.VENV_NAMES, "node_modules", "__pycache__")
# Gunicorn's own variable would override what we say on its command line.
NOT_PASSED = ("GUNICORN_CMD_ARGS",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("app", metavar="APP",
                        help="path/to/app.py:app, package.module:app or package:create_app()")  # fmt: skip
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--dsn", help="send every connection of the app to this DSN or URL")
    where.add_argument("--embedded", action="store_true", help="send them to an empty embedded PostgreSQL")
    parser.add_argument("--schema", metavar="FILE", action="append",
                        help="SQL to load into the embedded one; repeatable")  # fmt: skip
    parser.add_argument("--pgbouncer", choices=("off", "session", "transaction"), default="off",
                        help="put PgBouncer before the embedded one (default: off)")  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port,
                        help=f"port (default: {DEFAULT_PORT}, or a free one when that is taken)")  # fmt: skip
    parser.add_argument("--workers", type=int, help="worker processes (default: one a core, 2 at least)")
    parser.add_argument("--threads", type=int, help="threads, and so connections, per worker (default: 8)")
    parser.add_argument("--reload", action="store_true", help="restart workers when the app's files change")
    parser.add_argument("--python", metavar="PATH", help="interpreter with the app's packages (default: its venv)")
    parser.add_argument("--requirements", metavar="FILE", type=Path,
                        help="make an environment for it, once, and use that")  # fmt: skip


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port (1 to 65535)")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Serve the app until Ctrl-C or SIGTERM."""
    progress = Progress()
    if options.schema and options.dsn:
        raise CommandError(
            "--schema loads into the embedded database; leave out --dsn, or load the schema yourself"
        )
    if options.pgbouncer != "off" and not database.is_embedded(options):
        raise CommandError("--pgbouncer goes before the embedded database; add --embedded or --schema FILE")
    target, folder = _target(options.app)
    database.check(options)
    environ = _environment(options, target)
    python = interpreter.choose(options.python, options.requirements, folder, progress)
    listener = _listener(options, progress)
    with listener, Stack(progress) as stack:
        extra, where = database.environment(options, stack, progress)
        if database.is_embedded(options):
            environ = {name: value for name, value in environ.items() if not name.startswith("PG")}
        environ |= {**extra, "_HARDEN_KIT_PATH": interpreter.kit_path(python)}
        more = []
        if options.reload:
            environ["_HARDEN_RELOAD"], more = "1", _reload(folder)
        web = stack.gunicorn(environ, listener=listener, python=python, cwd=folder, options=more)
        _wait(web)
        settings = load(environ=environ)
        workers = settings["WORKERS"] or max(2, len(os.sched_getaffinity(0)))
        progress(f"serving {options.app} at {web.url} ({workers} workers x {settings['THREADS']} threads)")
        progress(f"database: {where}; health: {web.url}/readyz; Ctrl-C stops it")
        return _follow(web)


def _target(app: str) -> tuple[str, Path]:
    place, name = split_target(app)
    if not place:
        raise CommandError(f"{app!r} names no app; give path/to/app.py:app or package:create_app()")
    path = Path(place)
    if path.suffix == ".py" or "/" in place:
        if not path.exists():
            raise CommandError(
                f"{path} does not exist (looked from {Path.cwd()}); check the path before the colon"
            )
        place = str(path.resolve())
    return (f"{place}:{name}" if name else place), app_folder(app)


def _environment(options: argparse.Namespace, target: str) -> dict[str, str]:
    """Return the app's environment: the caller's, with our settings on top, checked before anything starts."""
    environ = {name: value for name, value in os.environ.items() if name not in NOT_PASSED}
    if options.dsn is not None or database.is_embedded(options):
        environ.pop("DATABASE_URL", None)  # is replaced, so it may be anything
    environ["HARDEN_APP"] = target
    for name, value in (("WORKERS", options.workers), ("THREADS", options.threads)):
        if value is not None:
            environ[name] = str(value)
    if options.reload:
        environ.setdefault("HARDEN_ENV", "development")
    try:
        load(environ=environ)
    except SettingsError as error:
        raise CommandError(str(error)) from None
    return environ


def _reload(folder: Path) -> list[str]:
    """Return Gunicorn's options; it watches what was imported by itself, but not what failed to be."""
    files = islice(_sources(folder), MOST_WATCHED)
    return ["--reload", *(part for file in files for part in ("--reload-extra-file", file))]


def _sources(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in NOT_WATCHED)
        yield from (f"{place}/{name}" for name in sorted(files) if name.endswith(".py"))


def _listener(options: argparse.Namespace, progress: Progress):  # type: ignore[no-untyped-def]
    if options.port is not None:
        return open_listener(options.host, options.port)
    try:
        return open_listener(options.host, DEFAULT_PORT)
    except CommandError:
        listener = open_listener(options.host, 0)
        progress(f"port {DEFAULT_PORT} is in use; taking {listener.getsockname()[1]} instead")
        return listener


def _wait(web: Web) -> None:
    failure: CommandError | None = None
    try:
        web.wait_until_ready(BOOT_SECONDS)
    except CommandError as error:
        failure = error
    said = re.findall(r"^harden: error: (.*)$", web.child.log.read_text(errors="replace"), re.MULTILINE)
    if failure is not None or said:
        if web.child.is_running() and not said:
            said = [
                f"the app did not answer within {BOOT_SECONDS:g} s ({web.child.last_line()}); does its file start "
                "something that never returns? Move that under if __name__ == '__main__'"
            ]
        web.child.stop(1)  # there is no request to wait for
        raise CommandError(said[0] if said else str(failure), web.child.log)


def _follow(web: Web) -> int:
    """Copy the server's log to stderr until it ends."""
    with web.child.log.open("rb") as log:
        while web.child.is_running():
            _copy(log)
            time.sleep(0.2)
        _copy(log)
    raise CommandError(f"Gunicorn ended with code {web.child.process.returncode}", web.child.log)


def _copy(log: BinaryIO) -> None:
    text = log.read()
    if text:
        sys.stderr.buffer.write(text)
        sys.stderr.flush()
