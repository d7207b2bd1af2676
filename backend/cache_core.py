"""How an entry is read, believed, loaded by one and kept: what `Cache` does with names that are complete.

The order is the point: tokens before the load, the lock before the last look, the store before the lock is given
back. Knows no names' meaning. If this is wrong, something old is kept after it was invalidated.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import psycopg2

from .cache_entry import NOTHING, Entry, entry_of, unpacked
from .cache_flight import Flights
from .cache_stats import cache_stats
from .open_transactions import is_private

log = logging.getLogger(__name__)
JITTER = 0.1  # an entry lives up to so much shorter, so that what was stored together does not expire together
LONGEST_TTL = 30 * 86400.0  # seconds
TOKEN_TTL = 2 * LONGEST_TTL  # a token outlives the entries that hold it
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05  # seconds between looks for what another worker loads
AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError, OSError)
COUNTED = ("hits", "misses", "stale", "loads", "not_kept", "invalidations", "bypassed")


@dataclass(frozen=True)
class Wanted:
    """One value, and how it is loaded; times in seconds.

    Attributes:
        name, lock, tags: complete names.
        loader: returns it.
        ttl: of a value.
        negative_ttl: of a None; None does not keep it.
        stale: for how long after that it may be served while one loads.
    """

    name: str
    lock: str
    tags: tuple[str, ...]
    loader: Callable[[], Any]
    ttl: float
    negative_ttl: float | None = None
    stale: float = 0.0


class Core:
    """The entries of one store.

    Args:
        store: a MemoryStore or a RedisStore.
        label: the name in figures.
        patience: seconds that a caller waits for another one's loader.
        largest: bytes of the largest entry that is kept.
    """

    def __init__(self, store: Any, label: str, patience: float, largest: int) -> None:
        self.store = store
        self._label, self._patience, self._largest = label, patience, largest
        self._flights = Flights()
        self.counts = dict.fromkeys(COUNTED, 0)

    def count(self, what: str) -> None:
        """Count what happened; without a lock, so under threads a figure may be a little low."""
        self.counts[what] += 1
        if what in ("hits", "stale"):
            cache_stats.hit(self._label)
        elif what in ("misses", "bypassed"):
            cache_stats.miss(self._label)

    def found(self, name: str, tags: tuple[str, ...] = ()) -> Entry | None:
        """Return what is kept and may be believed, fresh or not; its body was not looked at."""
        raw, *present = self.store.fetch([name, *tags])
        entry = unpacked(raw)
        if entry is None or entry.server != self.store.server or not entry.tokens.keys() >= set(tags):
            return None
        tokens = dict(zip(tags, present))  # noqa: B905 -- of one length
        unknown = [tag for tag in entry.tokens if tag not in tokens]
        if unknown:
            tokens.update(zip(unknown, self.store.fetch(unknown)))  # noqa: B905
        if any(tokens[tag] != token.encode() for tag, token in entry.tokens.items()):
            return None
        return entry

    def is_fresh(self, name: str, entry: Entry) -> bool:
        """Tell whether an entry has not come to the end of its life in which it is out of date."""
        return not entry.stale or self.store.remaining(name) > entry.stale

    def answer(self, wanted: Wanted) -> Any:
        """Return the value, from the store or from the loader."""
        entry = self.found(wanted.name, wanted.tags)
        if entry is not None:
            try:
                if self.is_fresh(wanted.name, entry):
                    value = entry.value()
                    self.count("hits")
                    return value
                if wanted.stale:
                    return self._refreshed(wanted, entry)
            except ValueError:  # not what the entry says that it is
                log.debug("an entry's value is broken, and is loaded anew")
        if is_private():  # before the load: a transaction that the loader begins itself is young enough
            self.count("bypassed")
            return self._loaded(wanted).value()
        self.count("misses")
        return self._flights.load(
            wanted.name, lambda: self._good(wanted), lambda: self._led(wanted), lambda: self._loaded(wanted),
            self._patience,
        ).value()  # fmt: skip

    def keep(self, name: str, entry: Entry, ttl: float) -> bool:
        """Keep an entry for up to `ttl` seconds, and its stale ones; False when it is not kept."""
        packed = entry.packed()
        shortened = ttl * (1.0 - JITTER * random.random())
        is_kept = len(packed) <= self._largest and self.store.keep(name, packed, shortened + entry.stale)
        if not is_kept:
            self.count("not_kept")
        return bool(is_kept)

    def tokens(self, tags: tuple[str, ...]) -> tuple[str, dict[str, str] | None]:
        """Return the store's start and the tags' tokens, to be taken before a load; None: not all are known."""
        server = self.store.server  # before the tokens: what a restart brings back is not to be believed
        if not tags:
            return server, {}
        present = self.store.tokens({tag: secrets.token_hex(8) for tag in tags}, TOKEN_TTL)
        known = {tag: token for tag, token in zip(tags, present) if token}  # noqa: B905
        return server, known if len(known) == len(tags) else None

    def _good(self, wanted: Wanted) -> Entry | None:
        entry = self.found(wanted.name, wanted.tags)
        if entry is None or not self.is_fresh(wanted.name, entry):
            return None
        try:
            entry.value()
        except ValueError:
            return None
        return entry

    def _refreshed(self, wanted: Wanted, old: Entry) -> Any:
        """Return the old value to everybody but the one who loads it anew."""
        value = old.value()
        flight = None if is_private() else self._flights.begin(wanted.name)
        if flight is None:
            self.count("stale")
            return value
        with self._flights.landing(wanted.name, flight):
            mine = secrets.token_hex(8)
            if not self.store.claim(wanted.lock, mine):
                self.count("stale")
                flight.entry = old
                return value
            try:
                flight.entry = self._loaded_and_kept(wanted)
                self.count("misses")
                return flight.entry.value()
            except AWAY as error:
                log.warning("a cached value is served although it is out of date; loading it failed: %s", error)
                self.count("stale")
                return value
            finally:
                self.store.release(wanted.lock, mine)

    def _led(self, wanted: Wanted) -> Entry:
        """Load, unless another worker does so already: then wait for what it brings."""
        if not self.store.is_shared:
            return self._loaded_and_kept(wanted)
        mine, waited, pause, tick = secrets.token_hex(8), 0.0, FIRST_PAUSE, threading.Event()
        while not self.store.claim(wanted.lock, mine):
            if waited > self._patience:
                return self._loaded(wanted)
            tick.wait(pause)
            waited, pause = waited + pause, min(pause * 1.5, LONGEST_PAUSE)
            entry = self._good(wanted)
            if entry is not None:
                return entry
        try:
            # Somebody may have brought it between our look and our claim.
            return self._good(wanted) or self._loaded_and_kept(wanted)
        finally:
            self.store.release(wanted.lock, mine)

    def _loaded_and_kept(self, wanted: Wanted) -> Entry:
        server, tokens = self.tokens(wanted.tags)
        loaded = self._loaded(wanted)
        ttl = wanted.negative_ttl if loaded.kind == NOTHING else wanted.ttl
        if tokens is None or ttl is None:
            return loaded
        stale = 0.0 if loaded.kind == NOTHING else wanted.stale
        entry = replace(loaded, tokens=tokens, stale=stale, server=server)
        self.keep(wanted.name, entry, ttl)
        return entry

    def _loaded(self, wanted: Wanted) -> Entry:
        self.count("loads")
        return entry_of(wanted.loader())
