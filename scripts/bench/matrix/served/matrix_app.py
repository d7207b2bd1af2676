"""The app of the matrix: the legacy shop's own profile route, and the batched one, over a pool that is chosen.

MATRIX_POOL is none, psycopg2 or ours; MATRIX_QUERIES is loop (1 + 3N, the legacy route, unedited) or batched.
"""

import os
import runpy
import sys
from pathlib import Path
from typing import Any

import psycopg2
from flask import Response
from psycopg2.extras import RealDictCursor
from psycopg2.pool import ThreadedConnectionPool

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT))

from backend.shop import queries  # noqa: E402

legacy = runpy.run_path(str(ROOT / "scripts" / "demo" / "legacy_shop.py"))
app = legacy["app"]
names = app.view_functions["get_customer"].__globals__  # where the legacy module's functions look names up
DSN, SIZE = os.environ["DATABASE_URL"], int(os.environ["MATRIX_SIZE"])
pools: dict[int, ThreadedConnectionPool] = {}  # by process: a forked child must not use its parent's sockets


class Lent:
    """A connection of psycopg2's pool for code that ends with close()."""

    def __init__(self) -> None:
        pool = pools.get(os.getpid())
        if pool is None:
            pool = pools[os.getpid()] = ThreadedConnectionPool(1, SIZE, DSN, cursor_factory=RealDictCursor)
        self._pool, self.connection = pool, pool.getconn()
        self.cursor = self.connection.cursor

    def close(self) -> None:
        """Give it back."""
        self._pool.putconn(self.connection)


def be_green() -> None:
    """Let greenlets wait for the database, where gevent has patched this process (psycopg2's documented way)."""
    patched = sys.modules.get("gevent.monkey")
    if not patched or not patched.is_module_patched("socket"):
        return
    from gevent.socket import wait_read, wait_write

    def wait(conn: Any, timeout: float | None = None) -> None:
        while (state := conn.poll()) != psycopg2.extensions.POLL_OK:
            ready = wait_read if state == psycopg2.extensions.POLL_READ else wait_write
            ready(conn.fileno(), timeout=timeout)

    psycopg2.extensions.set_wait_callback(wait)


def batched(customer_id: int) -> Response:
    """The same answer by one statement, whose JSON PostgreSQL makes."""
    conn = names["get_db_connection"]()
    try:
        body = queries.PROFILE.json(getattr(conn, "connection", conn), id=customer_id)
    finally:
        conn.close()
    return Response(body, mimetype="application/json")


be_green()
if os.environ["MATRIX_POOL"] == "psycopg2":
    names["get_db_connection"] = Lent
elif os.environ["MATRIX_POOL"] == "ours":
    from backend import PoolOptions, install
    from backend.database_helper import options_from
    from backend.settings import load

    chosen = options_from(load(), reset="reset", session_state="report")  # as `adopt` does, by DB_PGBOUNCER
    install(1, SIZE, PoolOptions(**{**vars(chosen), "nested_overflow": SIZE}))
if os.environ["MATRIX_QUERIES"] == "batched":
    app.view_functions["get_customer"] = batched
app.add_url_rule("/livez", "livez", lambda: "ok")
