"""Is this process alive, can it serve, and how is its pool? As plain data, for the endpoints to send.

`live` says that the process answers. `ready` says that the database can be reached through a pool; it never
waits behind traffic: a pool whose connections are all in use is a pool that works. Knows neither Flask nor
WSGI. If this is wrong, a load balancer sends people to a dead process or away from a good one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg2

from . import liveness, pool_classes
from .database_helper import current_pool
from .database_pool import ThreadedConnectionPool
from .dropin import installed
from .errors import HardenError, PoolTimeout, PoolTooBusy
from .readiness import NO_ANSWER, Readiness

PING = 0.8  # seconds for one ping: two of them fit into the deadline


def live() -> dict[str, Any]:
    """Return what `/livez` says."""
    return {"status": "ok"}


def ready() -> tuple[bool, dict[str, Any]]:
    """Return whether the process can serve, and what `/readyz` says, within two seconds.

    Returns:
        `status`: ok, unavailable or draining; `checks`: under `database` the state of each pool: ok, busy,
        unreachable, no answer, or "not used yet" where there is none; `duration_ms`: how long the check took.
    """
    asked = _readiness()
    if asked.is_draining:
        return False, {"status": "draining", "checks": {}, "duration_ms": 0.0}
    answer = asked.ask()
    return answer.is_ready, {
        "status": "ok" if answer.is_ready else "unavailable",
        "checks": {"database": list(answer.states) or ["not used yet"]},
        "duration_ms": round(answer.seconds * 1000, 1),
    }


def drain() -> None:
    """Have `/readyz` say 503 from now on: the balancer sends nobody any more, requests are served as before."""
    _readiness().is_draining = True


def undrain() -> None:
    """Undo `drain`."""
    _readiness().is_draining = False


def is_draining() -> bool:
    """Tell whether this process was told to be unready."""
    return _readiness().is_draining


def pool_figures() -> dict[str, Any]:
    """Return what `/health/database/pool` says of each pool of this process: figures, who holds, who waits."""
    drop_in = installed()
    shared = current_pool()
    figures = [_figures(shared, name="DATABASE_URL")] if shared is not None else []
    if drop_in is not None:
        figures += [_figures(pool, name="psycopg2.connect", **who) for who, pool in drop_in.described()]
    figures += [_figures(pool, name="psycopg2.pool") for pool in pool_classes.covered()]
    return {"pid": os.getpid(), "pools": figures}


def _figures(pool: ThreadedConnectionPool, **names: Any) -> dict[str, Any]:
    holders, waiters = pool.people()
    return {**names, **pool.stats(), "holders": holders, "waiters": waiters}


def pools() -> list[ThreadedConnectionPool]:
    """Return the pools of this process that were made already."""
    drop_in = installed()
    shared = current_pool()
    found: list[ThreadedConnectionPool] = [] if shared is None or shared.closed else [shared]
    found += [] if drop_in is None else list(drop_in.pools.values())
    return found + [pool for pool in pool_classes.covered() if not pool.closed]


def _state(pool: ThreadedConnectionPool) -> str:
    if pool.is_busy():  # without being counted among the callers that got none
        return "busy"
    try:
        conn = pool.getconn(timeout=0)
    except (PoolTimeout, PoolTooBusy) as error:
        # The cause is why connecting fails. Without one and without holders, connecting is all that it waits for.
        return "busy" if error.__cause__ is None and pool.is_busy() else "unreachable"
    except (psycopg2.Error, HardenError):
        return "unreachable"
    try:
        return "ok" if liveness.answers(conn, PING) else NO_ANSWER
    finally:
        with suppress(psycopg2.Error):  # closed meanwhile: the next look leaves it out
            pool.putconn(conn)


def _pool_states() -> list[Any]:
    return [partial(_state, pool) for pool in pools()]


_of_this_process = Readiness(_pool_states)


def _readiness() -> Readiness:
    """Return this process's; a forked child knows nothing of its parent's checks, whose threads it lacks."""
    global _of_this_process
    if _of_this_process.pid != os.getpid():
        _of_this_process = Readiness(_pool_states)
    return _of_this_process
