"""The leases of one request, so that all of them go back when the request ends.

A framework adapter says what "the current request" is by `set_provider`; without one, or outside a request,
there is no scope and every lease is its holder's alone. Knows neither Flask nor pools: a lease is anything
with `close()` and `lease_number`. If this is wrong, connections outlive their requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2


class Scope:
    """What one request has leased.

    The same connection object serves one lease after another, so a lease is remembered with its number: an
    object that meanwhile serves another request is none of ours.
    """

    def __init__(self) -> None:
        self._leases: list[tuple[Any, int]] = []
        self._shared: tuple[Any, int] | None = None

    @property
    def shared(self) -> Any:
        """The lease that `get_db_connection()` hands to every caller of the request; None when there is none."""
        return self._shared[0] if self._shared is not None and _is_held(*self._shared) else None

    def share(self, lease: Any) -> None:
        """Remember a lease as the one that every further caller gets."""
        self._shared = (lease, lease.lease_number)
        self.add(lease)

    def add(self, lease: Any) -> None:
        """Remember a lease."""
        if len(self._leases) > 16:  # a loop that connects per row: forget those it gave back already
            self._leases = [held for held in self._leases if _is_held(*held)]
        self._leases.append((lease, lease.lease_number))

    def end(self) -> int:
        """Give back what the request still holds; returns how many leases that were."""
        shared, self._shared = self.shared, None
        if shared is not None:
            shared.shared = False  # nobody is left to share it with
        leftover = [lease for lease, number in self._leases if _is_held(lease, number)]
        self._leases = []
        for lease in leftover:
            try:
                lease.close()
            except psycopg2.Error:
                pass  # the pool closes what it cannot reset; the response is on its way
        return len(leftover)


def _is_held(lease: Any, number: int) -> bool:
    return bool(lease.lease_number == number)


_provider: Callable[[], Scope | None] | None = None


def set_provider(provider: Callable[[], Scope | None] | None) -> None:
    """Say how the current request's scope is found; None for "there are no requests"."""
    global _provider
    _provider = provider


def current() -> Scope | None:
    """Return the current request's scope, or None outside a request."""
    return _provider() if _provider is not None else None
