"""The leases of one request, so that all of them go back when the request ends.

A framework adapter says what "the current request" is by `set_provider`; without one, or outside a request,
there is no scope and every lease is its holder's alone. Knows neither Flask nor pools: a lease is anything
with `close()` and `lease_number`. If this is wrong, connections outlive their requests.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import psycopg2


class _Held:
    """A lease, remembered with its number: the same object serves one lease after another."""

    __slots__ = ("lease", "number")

    def __init__(self, lease: Any, number: int) -> None:
        self.lease = lease
        self.number = number

    def is_held(self) -> bool:
        return bool(self.lease.lease_number == self.number)


_probe = _Held(object(), 0)
ABANDONED = sys.getrefcount(_probe.lease)  # what it says of a lease that nothing but its _Held refers to


class Scope:
    """What one request has leased; an object that meanwhile serves another request is none of ours.

    Attributes:
        kept: what others keep for the request's length; let go of when it ends.
        is_of_request: False for what lives as long as an app context alone, which may be the process's length.
    """

    is_of_request = True

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}
        self._leases: list[_Held] = []
        self._shared: _Held | None = None

    @property
    def shared(self) -> Any:
        """The lease that `get_db_connection()` hands to every caller of the request; None when there is none."""
        return self._shared.lease if self._shared is not None and self._shared.is_held() else None

    def share(self, lease: Any) -> None:
        """Remember a lease as the one that every further caller gets."""
        self.add(lease)
        self._shared = self._leases[-1]

    def add(self, lease: Any) -> None:
        """Remember a lease."""
        self._leases = [held for held in self._leases if held.is_held()]
        self._leases.append(_Held(lease, lease.lease_number))

    def reclaim(self) -> None:
        """Give back the leases that the request can no longer refer to.

        Helpers that connect and never close live on psycopg2's closing of what is dropped. Kept until the end
        of the request, thirty calls of one would be thirty connections.
        """
        for held in self._leases:
            if held is not self._shared and sys.getrefcount(held.lease) == ABANDONED and held.is_held():
                _close(held.lease)

    def end(self) -> None:
        """Give back what the request left behind.

        What somebody still refers to, a global or a thread that the request started, is his: taken away it
        would fail him, or run in the next request's transaction. It goes back once he has let go.
        """
        self.kept.clear()
        shared, self._shared = self.shared, None
        if shared is not None:
            shared.shared = False  # nobody is left to share it with
            _close(shared)
        self.reclaim()
        if any(held.is_held() for held in self._leases):
            # An error, `abort(404)` too, and the frames it went through refer to each other. Until the collector
            # came by, each view that failed would keep its connection, and a few in a row the whole pool.
            gc.collect(1)
            self.reclaim()
            outliving.extend(held for held in self._leases if held.is_held())
        self._leases = []


# Leases that their requests have left in globals: `config.conn = connect()` lets go of the one before. Without a
# reference of ours such a connection would be closed, and each request open another.
outliving: deque[_Held] = deque()


def reclaim_outliving() -> None:
    """Give back the leases that have outlived their requests and that nobody refers to any more."""
    for _ in range(len(outliving)):
        try:
            held = outliving.popleft()  # a single step: only one thread looks at it
        except IndexError:
            return
        if held.is_held():
            if sys.getrefcount(held.lease) == ABANDONED:
                _close(held.lease)
            else:
                outliving.append(held)


def _close(lease: Any) -> None:
    try:
        lease.close()
    except psycopg2.Error:
        pass  # the pool closes what it cannot reset; the response is on its way


_provider: Callable[[], Scope | None] | None = None


def set_provider(provider: Callable[[], Scope | None] | None) -> None:
    """Say how the current request's scope is found; None for "there are no requests"."""
    global _provider
    _provider = provider


def current() -> Scope | None:
    """Return the current request's scope, or None outside a request."""
    return _provider() if _provider is not None else None
