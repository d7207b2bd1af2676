"""How well the app's caches work: hits and misses by name, for the page, metrics and logs.

    cache_stats.hit("prices")                 # where the app looks into a cache of its own
    @cache_stats.watch("rates")               # above functools.lru_cache, which counts by itself
    cache_stats.snapshot()                    # {"prices": {"hits": 9, "misses": 1, "ratio": 0.9}, ...}

Counts are of this process since it started; a forked child begins at nothing. Knows no cache. If this is wrong, a
figure is; no cache answers otherwise.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from . import fork

log = logging.getLogger(__name__)
MOST_NAMES = 200
LONGEST_NAME = 100
OTHER = "(other)"  # what came after the last name that there was room for


class CacheStats:
    """Hits and misses by name; safe in threads, at most 200 names."""

    def __init__(self) -> None:
        self._start_afresh()

    def _start_afresh(self) -> None:
        # Guards both tables. Reentrant: the collector may run a finalizer that counts while it is held.
        self._lock = threading.RLock()
        self._counts: dict[str, list[int]] = {}
        self._watched: dict[str, Callable[[], Any]] = {}
        self._failed: set[str] = set()

    def hit(self, name: str) -> None:
        """Count an answer that came from the cache."""
        self.add(name, 1, 0)

    def miss(self, name: str) -> None:
        """Count an answer that had to be made."""
        self.add(name, 0, 1)

    def add(self, name: str, hits: int, misses: int) -> None:
        """Count several at once."""
        with self._lock:
            counts = self._counts.get(name)
            if counts is None:
                counts = self._new(name)
            counts[0] += hits
            counts[1] += misses

    def _new(self, name: str) -> list[int]:
        fork.protect(self)
        fit = str(name)[:LONGEST_NAME]
        if fit not in self._counts and len(self._counts) >= MOST_NAMES:
            fit = OTHER
        return self._counts.setdefault(fit, [0, 0])

    def watch(self, name: str, function: Any = None) -> Any:
        """Report what a `functools` cache counts by itself; the later one of two with the same name.

        It is not kept alive by this: a cache that is gone is reported no more.

        Args:
            name: what it is called in the snapshot.
            function: anything with `cache_info()`, as `functools.lru_cache` makes it; None for use as a decorator.

        Returns:
            the function.

        Raises:
            TypeError: it has no `cache_info`.
        """
        if function is None:
            return partial(self.watch, name)
        if not callable(getattr(function, "cache_info", None)):
            raise TypeError(
                f"{function!r} has no cache_info(); put @cache_stats.watch({name!r}) above @lru_cache, or count "
                "by hit() and miss()"
            )
        with self._lock:
            fork.protect(self)
            fit = str(name)[:LONGEST_NAME]
            if fit in self._watched or len(self._watched) < MOST_NAMES:
                self._watched[fit] = _reference(function)
            else:
                log.warning("cache %r is not watched: %d are already", fit, MOST_NAMES)
        return function

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return hits, misses and the hits' share of both (0 where there was neither) by name, in its order."""
        with self._lock:
            counts = {name: (hits, misses) for name, (hits, misses) in self._counts.items()}
            watched = dict(self._watched)
        for name, reference in watched.items():  # without the lock: it is the app's code
            function = reference()
            if function is None:
                self._unwatch(name, reference)
                continue
            hits, misses = self._info(name, function)
            before = counts.get(name, (0, 0))
            counts[name] = before[0] + hits, before[1] + misses
        return {
            name: {"hits": hits, "misses": misses, "ratio": hits / (hits + misses) if hits + misses else 0.0}
            for name, (hits, misses) in sorted(counts.items())
        }

    def _unwatch(self, name: str, reference: Callable[[], Any]) -> None:
        with self._lock:
            if self._watched.get(name) is reference:
                del self._watched[name]

    def _info(self, name: str, function: Any) -> tuple[int, int]:
        try:
            info = function.cache_info()
            return int(info.hits), int(info.misses)
        except Exception:
            if name not in self._failed:
                self._failed.add(name)
                log.exception("the cache %r cannot be asked for its figures; this is logged once", name)
            return 0, 0

    def clear(self) -> None:
        """Forget the counts and what is watched."""
        with self._lock:
            self._counts.clear()
            self._watched.clear()
            self._failed.clear()

    def _after_fork(self) -> None:
        watched = self._watched
        self._start_afresh()  # a new lock as well: the old one may have been held at the fork
        self._watched = watched


def _reference(function: Any) -> Callable[[], Any]:
    """Return what leads to a function without keeping it alive, where that is possible."""
    lasting = getattr(function, "__func__", function)  # a bound method is made anew at each look
    try:
        return weakref.ref(lasting)
    except TypeError:
        return lambda: lasting


cache_stats = CacheStats()
