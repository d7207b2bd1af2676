"""One loader per key: who comes while a value is being loaded waits for it instead of loading it again.

A value whose loading began before somebody asked for it may be older than a change that he knows of. So a waiter
takes what a flight brought only when the flight began after he came; else he looks into the store, where tags
tell, or flies next. That makes two loads of any number of callers, where nothing can be stored.
After Go's singleflight (golang.org/x/sync), which has no such rule. Knows no store. If this is wrong, a popular
key that expires is loaded by everybody at once, or somebody does not see his own change.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import fork

_counter = itertools.count(1)  # next() is one step: no two get the same


class Flight:
    """One load that is under way."""

    __slots__ = ("done", "entry", "has_failed", "number", "thread")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.entry: Any = None
        self.has_failed = False
        self.thread = threading.get_ident()
        self.number = next(_counter)


class Flights:
    """The loads of this process, by name."""

    def __init__(self) -> None:
        self._start_afresh()
        fork.protect(self)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, Flight] = {}

    def _after_fork(self) -> None:
        """Forget the parent's flights, which will never land here."""
        self._start_afresh()

    def begin(self, name: str) -> Flight | None:
        """Begin a load; None while another one is under way."""
        with self._lock:
            if name in self._under_way:
                return None
            flight = self._under_way[name] = Flight()
            return flight

    @contextmanager
    def landing(self, name: str, flight: Flight) -> Iterator[None]:
        """End a load with the block, and let go whoever waits for it."""
        try:
            yield
        except BaseException:
            flight.has_failed = True
            raise
        finally:
            flight.has_failed |= flight.entry is None
            with self._lock:
                if self._under_way.get(name) is flight:
                    del self._under_way[name]
            flight.done.set()

    def load(
        self,
        name: str,
        again: Callable[[], Any],
        lead: Callable[[], Any],
        alone: Callable[[], Any],
        patience: float,
    ) -> Any:
        """Return what is loaded, by this caller or by another one.

        Args:
            name: what is loaded.
            again: looks into the store; None when it is not there.
            lead: loads and stores.
            alone: loads, for itself: the flight failed, or took longer than `patience`.
            patience: seconds to wait for another caller.

        Raises:
            Exception: what the loader raised.
        """
        came = next(_counter)
        while True:
            mine = self.begin(name)
            if mine is not None:
                with self.landing(name, mine):
                    mine.entry = lead()
                    return mine.entry
            flight = self._under_way.get(name)
            if flight is None:  # it has landed in this moment
                continue
            if flight.thread == threading.get_ident():  # the loader asks for what it is loading
                return alone()
            if not flight.done.wait(patience) or flight.has_failed:
                return alone()
            if flight.number > came:
                return flight.entry
            found = again()
            if found is not None:
                return found
