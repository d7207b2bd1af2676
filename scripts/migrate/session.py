"""What `run` and `undo` open: a session that has the runner's lock, one that watches it, and the journal."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection

from ..arguments import number_of
from ..database import add_dsn, chosen_dsn, first_line
from ..errors import CommandError
from ..progress import Progress
from .journal import SCHEMA, Journal, locked
from .place import opened
from .runner import Runner
from .watch import Watch

_EVERY = 0.5  # seconds between two tries for the lock


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare the folder and the database."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path("migrations"), metavar="FOLDER",
                        help="of the files (default: migrations)")  # fmt: skip
    add_dsn(parser)
    parser.add_argument("--journal", metavar="SCHEMA", default=SCHEMA,
                        help=f"where the table harden_migrations is (default: {SCHEMA})")  # fmt: skip


def add_tries(parser: argparse.ArgumentParser) -> None:
    """Declare how long a lock is tried for."""
    parser.add_argument("--tries", metavar="N", type=number_of("tries", 1, 1000), default=10,
                        help="when a lock is not free in time (default: 10)")  # fmt: skip


@contextmanager
def running(options: argparse.Namespace) -> Iterator[tuple[Runner, Journal]]:
    """Open all of it, and close it at the end.

    Raises:
        CommandError: the database is not one that can be changed.
    """
    dsn = chosen_dsn(options)
    progress = Progress()
    try:
        with closing(opened(dsn)) as conn, closing(opened(dsn)) as second:
            with second.cursor() as cursor:
                cursor.execute("SET statement_timeout = '5s'; SET lock_timeout = '1s'")
            watch = Watch(second, progress)
            with conn.cursor() as cursor:
                # A role's own limits are for the app; those of the files come later.
                cursor.execute("SET statement_timeout = '60s'; SET lock_timeout = '10s'")
            _wait(conn, watch)
            yield Runner(conn, watch, options.tries), Journal(conn, options.journal)
    except psycopg2.Error as error:
        raise CommandError(f"{first_line(error, dsn)}; run it again: what is done stays") from None
    finally:
        progress.clear()


def _wait(conn: connection, watch: Watch) -> None:
    """Take the lock; when another run has it, or the session of one that was killed, see it to its end."""
    said, since = 0, time.monotonic()
    while (pid := locked(conn)) is not None:
        if pid and pid != said:
            watch.progress(f"another run is under way (pid {pid}), maybe one that was killed, for the server "
                           f"goes on; waiting for it, or: SELECT pg_terminate_backend({pid})")  # fmt: skip
            said = pid
        if pid:
            watch.look(pid, f"pid {pid}, {time.monotonic() - since:.0f} s")
        threading.Event().wait(_EVERY)
