"""The leases of one request: told apart by their numbers, given back once, and never somebody else's."""

from __future__ import annotations

import gc
from typing import Any

import psycopg2

from backend import scope
from backend.scope import Scope


class Lease:
    """What a scope knows of a lease."""

    def __init__(self, number: int = 1, error: Exception | None = None) -> None:
        self.lease_number = number
        self.shared = False
        self.closed: list[int] = []
        self._error = error

    def close(self) -> None:
        self.closed.append(self.lease_number)
        self.lease_number = 0
        if self._error is not None:
            raise self._error




def added(given: Scope, lease: Lease) -> list[int]:
    """Add a lease and let go of it; returns the list of its closes."""
    given.add(lease)
    return lease.closed


def test_what_nobody_refers_to_is_closed_at_the_end_and_only_once() -> None:
    given = Scope()
    one, two = added(given, Lease()), added(given, Lease())
    given.end()
    given.end()
    assert (one, two) == ([1], [1])


def test_what_somebody_still_refers_to_is_left_to_him() -> None:
    given, lease = Scope(), Lease()
    given.add(lease)
    given.end()
    assert lease.closed == []


def test_the_shared_lease_is_closed_whoever_refers_to_it() -> None:
    given, lease = Scope(), Lease()
    given.share(lease)
    assert given.shared is lease
    lease.shared = True
    given.end()
    assert (lease.closed, lease.shared, given.shared) == ([1], False, None)


def test_a_lease_that_went_back_meanwhile_is_none_of_ours() -> None:
    """The same object serves the next request by then: its number tells."""
    given = Scope()
    lease = Lease(1)
    given.share(lease)
    lease.lease_number = 2
    assert given.shared is None
    given.end()
    assert lease.closed == []


def test_a_lease_that_fails_to_close_does_not_keep_the_others() -> None:
    given = Scope()
    broken = added(given, Lease(1, psycopg2.OperationalError("gone")))
    fine = added(given, Lease(1))
    given.end()
    assert (broken, fine) == ([1], [1])


def test_reclaim_gives_back_what_a_helper_forgot_and_nothing_in_use() -> None:
    given = Scope()
    in_use, shared = Lease(), Lease()
    forgotten = added(given, Lease())
    given.add(in_use)
    given.share(shared)
    shared_closes = shared.closed
    del shared
    given.reclaim()
    assert (forgotten, in_use.closed, shared_closes) == ([1], [], [])


def test_a_loop_that_connects_per_row_is_not_remembered_row_by_row() -> None:
    given = Scope()
    for _ in range(100):
        lease = Lease()
        given.add(lease)
        lease.close()
    assert len(given._leases) <= 1


def test_what_only_a_cycle_refers_to_is_closed_at_the_end() -> None:
    """An error and its frames refer to each other: a failed view's locals would stay until the collector comes."""
    given = Scope()
    lease = Lease()
    closes = added(given, lease)
    cycle: list[Any] = [lease]
    cycle.append(cycle)
    gc.disable()
    try:
        del lease, cycle
        given.end()
    finally:
        gc.enable()
    assert closes == [1]


def test_there_is_no_scope_without_a_provider() -> None:
    assert scope.current() is None
    given = Scope()
    scope.set_provider(lambda: given)
    assert scope.current() is given
    scope.set_provider(None)
    assert scope.current() is None
