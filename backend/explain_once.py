"""One EXPLAIN, on a connection that nobody needs right now, in a transaction that can neither write nor wait.

Knows pools, no monitors: its cursors are psycopg2's own, or a slow EXPLAIN would be a slow query of the app's. If
this is wrong, asking for a plan changes data, takes a connection from a request, or leaves a transaction open.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2.extensions import UNICODE, connection, cursor

from . import fork
from .catalog import read_known
from .errors import HardenError
from .plan_reading import reading
from .plan_text import Plan
from .planwalk import tables_in

PATIENCE, LOOK_EVERY = 5.0, 0.05  # seconds: for an idle connection
_JSON = 114  # its oid; an app may parse JSON in a way of its own
_KIND = "ISOLATION LEVEL READ COMMITTED, READ ONLY"  # a serializable one could wait for others to end
_LIMITS = "SET LOCAL statement_timeout = '1s'; SET LOCAL lock_timeout = '100ms'"
_raw: Any = connection


def idle_connection(pool: Any, patience: float = PATIENCE) -> Any:
    """Lease a connection that lies idle, and is not the last free one; None when there was none in that time.

    Args:
        pool: where from.
        patience: seconds.
    """
    until = time.monotonic() + patience
    while not pool.closed:
        used = len(pool._leased)
        if pool._idle and not pool._slots.attention and (pool.maxconn - used > 1 or not used):
            try:
                return pool.getconn(timeout=0)
            except (HardenError, psycopg2.Error):
                return None
        if time.monotonic() >= until:
            return None
        time.sleep(LOOK_EVERY)
    return None


def ask_plan(conn: Any, bound: bytes) -> tuple[Plan, str]:
    """Ask for a plan in a transaction that can neither write nor wait, nor leave anything behind.

    Args:
        conn: a connection outside of a transaction.
        bound: one SELECT with its values.

    Returns:
        the plan's top node, and a sentence about it.

    Raises:
        psycopg2.Error: what the server said.
    """
    is_autocommit = conn.autocommit
    with closing(_Unwatched(conn).cursor()) as asking:
        try:
            # In a transaction that psycopg2 begins itself the first statement can still say what kind it is.
            asking.execute(f"{'BEGIN' if is_autocommit else 'SET TRANSACTION'} {_KIND}; {_LIMITS}")
            asking.execute(b"EXPLAIN (VERBOSE, FORMAT JSON) " + bound)
            plan: Plan = json.loads(asking.fetchone()[0])[0]["Plan"]
            names = tables_in(plan)
            sentence = reading(plan, read_known(_Unwatched(conn), names)) if names else ""
        finally:
            if is_autocommit:
                asking.execute("ROLLBACK")
            else:
                _raw.rollback(conn)
    return plan, sentence


class _Unwatched:
    """Cursors of a connection that no monitor sees."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn

    def cursor(self) -> Any:
        asking = cursor(self._conn)
        asking.string_types = {_JSON: UNICODE}
        return asking


def can_read(conn: Any) -> bool:
    """Tell whether quotes in a statement are where they seem to be, as `read_only` takes for granted."""
    return bool(conn.encoding == "UTF8" and conn.get_parameter_status("standard_conforming_strings") == "on")


def pool_of(conn: Any) -> Any:
    """Return the pool that a connection is leased from; None when it is none of the kit's."""
    record = getattr(conn, "_record", None)
    return next((pool for pool in _pools() if record in pool._slots.records), None)


def _pools() -> list[Any]:
    """Return the pools of this process; caches and tables are protected over a fork as well."""
    return [each for each in fork.protected() if hasattr(each, "_slots")]
