"""Is this process alive, can it serve, and how is its pool? As plain data, for the endpoints to send.

`live` says that the process answers. `ready` says that the database can be reached through a pool; it never
waits behind traffic: a pool whose connections are all in use is a pool that works. Knows neither Flask nor
WSGI. If this is wrong, a load balancer sends people to a dead process or away from a good one.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg2

from . import liveness, pool_classes
from .database_helper import current_pool
from .database_pool import ThreadedConnectionPool
from .dropin import installed
from .errors import HardenError, PoolTimeout, PoolTooBusy

KEEP_ANSWER = 1.0  # seconds; many balancers ask, one of them pays
PATIENCE = 3.0  # seconds; a network that swallows everything may cost one thread, not one per question
_lock = threading.Lock()
_last: tuple[float, bool, dict[str, Any]] = (float("-inf"), False, {})


def live() -> dict[str, Any]:
    """Return what `/livez` says."""
    return {"status": "ok"}


def ready() -> tuple[bool, dict[str, Any]]:
    """Return whether the process can serve, and what `/readyz` says. One check a second at most."""
    global _last
    if not _lock.acquire(timeout=PATIENCE):
        return False, {"status": "unavailable", "database": ["no answer"]}
    try:
        when, is_ready, answer = _last
        if time.monotonic() - when < KEEP_ANSWER:
            return is_ready, answer
        states = [_state(pool) for pool in pools()]
        is_ready = all(state in ("ok", "busy") for state in states)
        answer = {"status": "ok" if is_ready else "unavailable", "database": states or ["not used yet"]}
        _last = (time.monotonic(), is_ready, answer)
    finally:
        _lock.release()
    return is_ready, answer


def pool_figures() -> dict[str, Any]:
    """Return what `/health/database/pool` says: the figures of each pool of this process."""
    drop_in = installed()
    shared = current_pool()
    figures = [{"name": "DATABASE_URL", **shared.stats()}] if shared is not None else []
    if drop_in is not None:
        figures += [{"name": "psycopg2.connect", **pool} for pool in drop_in.stats()]
    figures += [{"name": "psycopg2.pool", **pool.stats()} for pool in pool_classes.covered()]
    return {"pools": figures}


def pools() -> list[ThreadedConnectionPool]:
    """Return the pools of this process that were made already."""
    drop_in = installed()
    shared = current_pool()
    found: list[ThreadedConnectionPool] = [] if shared is None or shared.closed else [shared]
    found += [] if drop_in is None else list(drop_in.pools.values())
    return found + [pool for pool in pool_classes.covered() if not pool.closed]


def _state(pool: ThreadedConnectionPool) -> str:
    try:
        conn = pool.getconn(timeout=0)
    except (PoolTimeout, PoolTooBusy):
        return "busy"
    except (psycopg2.Error, HardenError):
        return "unreachable"
    try:
        return "ok" if liveness.answers(conn) else "unreachable"
    finally:
        pool.putconn(conn)
