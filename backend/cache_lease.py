"""The loads that this process leads, renewed for as long as it lives.

A lock that only ends when a loader may have ended at the latest holds everybody up whose leader was killed: ten
seconds, with every thread waiting. So it is short, and one thread renews those that are held; when the process
dies, the next caller leads after `LEASE`. Knows locks by name and token only. If this is wrong, a dead worker
stops others.
(Gray and Cheriton, "Leases: an efficient fault-tolerant mechanism for distributed file cache consistency", 1989.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from . import fork

LEASE = 2.0  # seconds that a lock outlives its last renewal
RENEW_EVERY = 0.5
IDLE_LOOKS = 20  # with nothing held, after which the thread ends


class Leases:
    """Locks that are held.

    Args:
        renew: makes a lock last LEASE seconds from now on, given its name and token; it raises nothing.
    """

    def __init__(self, renew: Callable[[str, str], None]) -> None:
        self._renew = renew
        self._start_afresh()
        fork.protect(self)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}
        self._has_thread = False
        self._closing = threading.Event()

    def _after_fork(self) -> None:
        """Forget the parent's locks, which are the parent's to renew."""
        self._start_afresh()

    def hold(self, name: str, token: str) -> None:
        """Renew a lock from now on, until `drop`."""
        with self._lock:
            self._held[name] = token
            if not self._has_thread and not self._closing.is_set():
                self._has_thread = True
                threading.Thread(target=self._look, name="cache-leases", daemon=True).start()

    def drop(self, name: str, token: str) -> None:
        """Let a lock be."""
        with self._lock:
            if self._held.get(name) == token:
                del self._held[name]

    def _look(self) -> None:
        idle, before = 0, dict[str, str]()
        while not self._closing.wait(RENEW_EVERY):
            with self._lock:
                held = dict(self._held)
                idle = 0 if held else idle + 1
                if idle > IDLE_LOOKS:
                    self._has_thread = False
                    return
            for name, token in held.items():
                if before.get(name) == token:  # most loads are over before they need it
                    self._renew(name, token)
            before = held

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
