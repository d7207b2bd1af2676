"""`Cache`: answers kept between requests, in this worker's memory or in Redis, never staler than it says.

    cache = Cache("redis://:password@cache:6379/0", namespace="shop")    # Cache() is this worker's memory
    customer = cache.get_or_load(f"customer:{id}", load, ttl=300, tags=[f"customer:{id}"])
    with transaction() as conn:
        conn.cursor().execute("UPDATE customers SET name = %s WHERE id = %s", (name, id))
        cache.invalidate(f"customer:{id}", conn=conn)                    # when it has committed

A tag is a random token in the store. A loader takes its tags' tokens before it reads the database, the entry keeps
them, and is believed as long as the store still has the very same. To invalidate is to delete the token: an entry
whose loader had begun before is then worth nothing, whenever it is stored. A token that was evicted, lost or
expired makes a miss, never a hit. (Tag versions as in Symfony's TagAwareAdapter; before the load as in
Memcached's leases, Nishtala et al., "Scaling Memcache at Facebook", 2013.)
Knows neither Flask nor the pool. If this is wrong, a page shows what is no longer so.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from .after_commit import Promise, after_commit
from .cache_core import LONGEST_TTL, Core, Wanted
from .cache_entry import entry_of
from .cache_keys import Names, Template, checked_signature
from .cache_memory import MOST_BYTES, MOST_ENTRIES, MemoryStore
from .cache_redis import RedisStore
from .errors import CacheError
from .open_transactions import open_here

F = TypeVar("F", bound=Callable[..., Any])


class Cache:
    """A cache.

    Args:
        url: redis://, rediss:// or unix://; None keeps everything in this worker's memory, where other workers'
            invalidations are not seen: an entry is then up to its TTL old.
        namespace: the app's name; add the release where two releases may not read each other's entries.
        ttl: seconds that an entry lives where nothing else is said.
        client: a client of redis-py instead of a URL: Sentinel's `master_for`, a RedisCluster.
        timeout: seconds that one question to Redis may take.
        patience: seconds that a caller waits for another one's loader before it loads for itself.
        largest: bytes of the largest value that is kept.
        most_entries, most_bytes: bounds of the memory, without Redis.

    Raises:
        CacheError: a value that cannot be, or the package redis is missing.
    """

    def __init__(
        self,
        url: str | None = None,
        namespace: str = "app",
        ttl: float = 300.0,
        *,
        client: Any = None,
        timeout: float = 0.25,
        patience: float = 10.0,
        largest: int = 1024 * 1024,
        most_entries: int = MOST_ENTRIES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.ttl = _seconds("ttl", ttl)
        self._names = Names(namespace)
        timeout, patience = _seconds("timeout", timeout), _seconds("patience", patience)
        is_memory = url is None and client is None
        store: Any = MemoryStore(most_entries, most_bytes) if is_memory else RedisStore(url, timeout, client)
        self._core = Core(store, namespace, patience, largest)
        self._own = threading.local()  # what this thread has invalidated and not committed yet

    def within(self, **parts: Any) -> Cache:
        """Return a view with entries and tags of its own: `cache.within(tenant=7)`. It shares everything else.

        Raises:
            CacheError: a part has no value, or is given already.
        """
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__, _names=self._names.within(parts))
        return view

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or the default.

        Raises:
            CacheError: the key is no text.
        """
        name = self._names.entry(key)
        entry = self._core.found(name)
        try:
            if entry is not None and self._core.is_fresh(name, entry):
                value = entry.value()
                self._core.count("hits")
                return value
        except ValueError:
            pass  # not what the entry says that it is
        self._core.count("misses")
        return default

    def set(self, key: str, value: Any, ttl: float | None = None, tags: Iterable[str] = ()) -> bool:
        """Keep a value that is known already. Prefer `get_or_load`: what was read before a change is old after it.

        Returns:
            whether it was kept.

        Raises:
            CacheError: the value is neither bytes nor JSON, or ttl or tags cannot be.
        """
        named = self._names.tags(tags)
        seconds = self.ttl if ttl is None else _seconds("ttl", ttl)
        entry = entry_of(value)
        server, tokens = self._core.tokens(named)
        if tokens is None:
            return False
        return self._core.keep(self._names.entry(key), replace(entry, tokens=tokens, server=server), seconds)

    def delete(self, key: str) -> None:
        """Forget one entry, now. For what depends on a row use tags: `invalidate` also stops a load under way."""
        self._core.store.forget([self._names.entry(key)])

    def get_or_load(
        self,
        key: str,
        loader: Callable[[], Any],
        ttl: float | None = None,
        tags: Iterable[str] = (),
        negative_ttl: float | None = None,
        stale: float = 0.0,
    ) -> Any:
        """Return the value, loaded by one caller at a time where it is not there.

        Args:
            key: unique in the namespace; text.
            loader: returns the value, anew from the database; JSON or bytes. None is "there is none".
            ttl: seconds that it lives, less up to 10 %.
            tags: what it depends on.
            negative_ttl: seconds that a None is remembered; when None it is not.
            stale: seconds after that in which one caller loads anew while all others get the old value, and he as
                well where the database does not answer. What was invalidated is never served.

        Raises:
            CacheError: the value is neither bytes nor JSON, or an argument cannot be.
            Exception: what the loader raised.
        """
        wanted = Wanted(
            self._names.entry(key),
            self._names.lock(key),
            self._names.tags(tags),
            loader,
            self.ttl if ttl is None else _seconds("ttl", ttl),
            None if negative_ttl is None else _seconds("negative_ttl", negative_ttl),
            _seconds("stale", stale) if stale else 0.0,
        )
        if self._is_being_changed(wanted.tags):
            self._core.count("bypassed")
            return entry_of(loader()).value()
        return self._core.answer(wanted)

    def cached(
        self,
        key: str,
        ttl: float | None = None,
        tags: Sequence[str] = (),
        negative_ttl: float | None = None,
        stale: float = 0.0,
        ignore: Sequence[str] = (),
    ) -> Callable[[F], F]:
        """Cache a function's answers by its arguments.

            @cache.cached("customer:{id}", tags=["customer:{id}"], ignore=["conn"])
            def customer(conn, id): ...

        Args:
            key, tags: with the names of arguments in braces.
            ignore: arguments that do not change the answer, such as the connection; every other one must be in
                the key.
            ttl, negative_ttl, stale: as for `get_or_load`.

        Raises:
            CacheError: an argument is neither in the key nor ignored.
        """
        template, tag_templates = Template(key), [Template(tag) for tag in tags]

        def decorate(function: F) -> F:
            signature = checked_signature(function, template, tag_templates, ignore)

            @functools.wraps(function)
            def answer(*args: Any, **kwargs: Any) -> Any:
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                load = functools.partial(function, *args, **kwargs)
                named = [tag.fill(bound.arguments) for tag in tag_templates]
                return self.get_or_load(template.fill(bound.arguments), load, ttl, named, negative_ttl, stale)

            return answer  # type: ignore[return-value]

        return decorate

    def invalidate(self, *tags: str, conn: Any = None) -> None:
        """Forget every entry that carries one of the tags, also those whose loader is still under way.

        Args:
            *tags: the tags.
            conn: the pool's connection whose transaction changes the data: it happens when that commits, and never
                on a rollback. Until then this thread reads such entries past the cache. Without one it happens
                now, and again when transactions commit that this thread has open.

        Raises:
            CacheError: no tag, or one that is no text.
            TypeError: conn is none of the pool's.
        """
        if not tags:
            raise CacheError("invalidate() needs a tag; clear() forgets everything")
        named = self._names.tags(tags)
        forget = functools.partial(self._forget_tags, named)
        if conn is None:
            forget()
        for each in open_here() if conn is None else (conn,):
            promise = after_commit(each, forget, in_doubt=True)
            if promise is not None:
                self._pending().append((promise, frozenset(named)))

    def clear(self) -> int:
        """Forget the namespace with all its views, or this view alone; returns how many names it were."""
        prefix = self._names.prefix
        gone = self._core.store.forget_all(prefix)
        if not self._names.is_narrowed:
            gone += self._core.store.forget_all(prefix[:-1] + "/")
        return int(gone)

    def stats(self) -> dict[str, float]:
        """Return this process's counts of what happened, and the store's own figures."""
        return {**self._core.counts, **self._core.store.stats()}

    def close(self) -> None:
        """Close the connections to Redis."""
        self._core.store.close()

    def __repr__(self) -> str:
        return f"<Cache {self._names.prefix} in {'Redis' if self._core.store.is_shared else 'memory'}>"

    def _forget_tags(self, named: tuple[str, ...]) -> None:
        self._core.count("invalidations")
        self._core.store.forget(named)

    def _pending(self) -> list[tuple[Promise, frozenset[str]]]:
        pending = [each for each in getattr(self._own, "pending", ()) if each[0].is_open()]
        self._own.pending = pending
        return pending

    def _is_being_changed(self, tags: tuple[str, ...]) -> bool:
        """Tell whether this thread has changed what the tags stand for, and not committed yet."""
        if not getattr(self._own, "pending", None):
            return False
        return any(not named.isdisjoint(tags) for _, named in self._pending())


def _seconds(name: str, value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not 0 < value <= LONGEST_TTL:
        raise CacheError(f"{name}={value!r} must be more than 0 and at most {LONGEST_TTL:.0f} seconds")
    return float(value)
