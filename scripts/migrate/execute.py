"""One long statement, run so that it can be watched, and cancelled in the server when a person stops us.

libpq waits inside C, where Python hears no signal: so the statement runs in a thread, and the main thread watches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg2
from psycopg2.extensions import connection

EVERY = 0.25  # seconds between two looks


def execute(conn: connection, statement: str, look: Callable[[], None]) -> None:
    """Run a statement; returns when the server is done with it.

    Args:
        conn: in autocommit; nobody else may use it meanwhile.
        look: called every quarter of a second.

    Raises:
        psycopg2.Error: it failed.
        KeyboardInterrupt, SystemExit: a person stopped us; the statement was cancelled first.
    """
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with conn.cursor() as cursor:
                cursor.execute(statement)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True, name="harden-migrate")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(EVERY)
            if thread.is_alive():
                look()
    except BaseException:
        with suppress(psycopg2.Error):
            conn.cancel()
        thread.join(30)
        raise
    if failed:
        raise failed[0]
