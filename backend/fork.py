"""After a fork, the child lets go of its parent's connections without touching the parent's sessions.

Two processes on one socket read each other's answers: wrong rows, without an error. Closing in the child is
no way out: it tells the server to end the parent's session. So the child keeps the objects, never uses them,
and points their file descriptors at /dev/null: a stale use then fails instead of reading somebody's rows, and
the parent's backends end when the parent does. (Not so a connection that another thread was opening at the
moment of the fork: nothing refers to it yet. The child never uses it, and keeps a copy of its socket.)

Registered when the first pool is made, not at import. `os.register_at_fork` misses forks made in C (uWSGI):
each pool compares process ids at checkout as well. Knows pools only by one method name.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Iterable
from typing import Any

import psycopg2

log = logging.getLogger(__name__)
once = threading.Lock()  # held while a pool forgets its parent: two threads must not both do it
_pools: weakref.WeakSet[Any] = weakref.WeakSet()
_inherited: list[Any] = []
_registered = False


def protect(pool: Any) -> None:
    """Have `pool._after_fork()` called in every child of this process."""
    global _registered
    _pools.add(pool)
    if not _registered:
        _registered = True
        os.register_at_fork(after_in_child=_reset_pools)


def protected() -> list[Any]:
    """Return the pools of this process that are in use somewhere, closed ones included."""
    return list(_pools)


def _reset_pools() -> None:
    global once
    once = threading.Lock()  # the old one may have been held at the fork
    for pool in list(_pools):
        try:
            pool._after_fork()
        except Exception:  # the others must hear of it all the same; this one tries again at its first checkout
            log.exception("a pool could not let go of its parent's connections")


def disown(connections: Iterable[Any]) -> None:
    """Keep the parent's connections, unusable: their descriptors lead to /dev/null."""
    kept = list(connections)
    _inherited.extend(kept)
    try:
        null = os.open(os.devnull, os.O_RDWR)
    except OSError as error:  # a chroot without /dev, or no descriptor left
        log.warning("%d connections of the parent process stay open in this one: %s", len(kept), error)
        return
    try:
        for conn in kept:
            try:
                os.dup2(null, conn.fileno(), inheritable=False)
            except (psycopg2.Error, OSError):
                pass  # closed already
    finally:
        os.close(null)
