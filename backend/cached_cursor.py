"""Cursors that answer a SELECT from the request's query cache, and tell the cache of every write.

The class is a subclass of the one that the app asked for, so its rows are the app's rows. Without a cache at
work it costs one look at a context variable. Named cursors and COPY are never answered from the cache.
Must not import Flask or the pool. If this is wrong, an old answer is given for a new one.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextvars import ContextVar
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg2
import psycopg2.extensions
from psycopg2.sql import Composable

from .copies import copied
from .query_store import LONGEST, Answer, QueryStore
from .read_only import TODAY, effect
from .rows import made_as

at_work: ContextVar[QueryStore | None] = ContextVar("harden_query_cache", default=None)
paused: ContextVar[bool] = ContextVar("harden_query_cache_paused", default=False)
# Values that cannot bring SQL along; what else there is may be AsIs.
_PLAIN = {
    type(None), bool, int, float, str, bytes, Decimal, date, datetime, time, timedelta, UUID,
}  # fmt: skip
# A class that does these its own way may ask for other rows, or make other rows, than the statement says.
_OWN_WAYS = ("execute", "mogrify", "fetchone", "fetchmany", "fetchall", "__iter__", "__next__", "scroll")
_classes: dict[type[Any], type[Any]] = {}


class _Caching:
    """Mixed into a cursor class.

    `_cache_rows` are the rows at hand, with `_cache_at` the next one; None while the driver has them.
    `_cache_answer` is what a cached answer says of itself; None while the driver says it.
    """

    _cache_rows: list[Any] | None = None
    _cache_answer: Answer | None = None
    _cache_at = 0

    def execute(self, query: Any, vars: Any = None) -> Any:
        self._let_go()
        store = at_work.get()
        if store is None:
            return super().execute(query, vars)  # type: ignore[misc]
        text = _text_of(self, query, vars)
        does = effect(text, store.functions)
        if does == "write":
            return self._written(store, text, super().execute, query, vars)  # type: ignore[misc]
        if does == "read" and _caches(type(self)) and not paused.get() and store.may_answer(self):
            return self._read(store, query, vars)
        return super().execute(query, vars)  # type: ignore[misc]

    def _read(self, store: QueryStore, query: Any, vars: Any) -> Any:
        cursor: Any = self
        bound = cursor.mogrify(query, vars)
        if len(bound) > LONGEST or TODAY.search(bound):
            return super().execute(query, vars)  # type: ignore[misc]
        key, alive = _key(store, cursor, bound)
        answer = store.find(key)
        if answer is None and store.ahead:
            answer = store.find_ahead(cursor, key, bound)
        if answer is not None:
            self._cache_rows, self._cache_answer = copied(answer.rows), answer
            return None
        if not store.keeps:
            return super().execute(query, vars)  # type: ignore[misc]
        generation = store.generation
        done = super().execute(query, vars)  # type: ignore[misc]
        if cursor.description is not None and cursor.rowcount <= store.most_rows:
            self._keep(store, key, alive, generation)
        return done

    def _keep(self, store: QueryStore, key: Hashable, alive: Any, generation: int) -> None:
        try:
            rows = super().fetchall()  # type: ignore[misc]
        except Exception:
            super().scroll(0, mode="absolute")  # type: ignore[misc]
            return  # a value that Python cannot hold: the app's own fetch says so
        self._cache_rows = rows
        try:
            store.keep(key, Answer(self, copied(rows), alive), generation)
        except (TypeError, copy.Error):
            pass  # it holds what cannot be copied; it is answered anew each time

    def _written(
        self, store: QueryStore, text: str, send: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        store.note_write(self.connection, text)  # type: ignore[attr-defined]
        try:
            return send(*args, **kwargs)
        finally:
            store.forget()  # what another thread read meanwhile may be from before

    def _noting(self, text: str, send: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do what is no single statement: nothing of it is answered from the cache, all of it may write."""
        self._let_go()
        store = at_work.get()
        return send(*args, **kwargs) if store is None else self._written(store, text, send, *args, **kwargs)

    def _let_go(self) -> None:
        if self._cache_rows is not None:
            self._cache_rows = self._cache_answer = None
            self._cache_at = 0

    def _has_rows(self) -> bool:
        return self._cache_rows is not None and not self.closed  # type: ignore[attr-defined]

    def executemany(self, query: Any, vars_list: Any) -> Any:
        return self._noting(_text_of(self, query), super().executemany, query, vars_list)  # type: ignore[misc]

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        return self._noting("CALL", super().callproc, *args, **kwargs)  # type: ignore[misc]

    def copy_expert(self, *args: Any, **kwargs: Any) -> Any:
        return self._noting("COPY", super().copy_expert, *args, **kwargs)  # type: ignore[misc]

    def copy_from(self, *args: Any, **kwargs: Any) -> Any:
        return self._noting("COPY", super().copy_from, *args, **kwargs)  # type: ignore[misc]

    def copy_to(self, *args: Any, **kwargs: Any) -> Any:
        return self._noting("COPY", super().copy_to, *args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        self._let_go()
        super().close()  # type: ignore[misc]

    def fetchone(self) -> Any:
        if not self._has_rows():
            return super().fetchone()  # type: ignore[misc]
        assert self._cache_rows is not None
        if self._cache_at >= len(self._cache_rows):
            return None
        self._cache_at += 1
        return self._cache_rows[self._cache_at - 1]

    def fetchmany(self, size: int | None = None) -> Any:
        if not self._has_rows():
            return super().fetchmany(*(() if size is None else (size,)))  # type: ignore[misc]
        assert self._cache_rows is not None
        wanted = self.arraysize if size is None else size  # type: ignore[attr-defined]
        start = self._cache_at
        end = len(self._cache_rows)
        self._cache_at = min(start + wanted, end) if wanted >= 0 else end  # below 0 is all, as in psycopg2
        return self._cache_rows[start : self._cache_at]

    def fetchall(self) -> Any:
        if not self._has_rows():
            return super().fetchall()  # type: ignore[misc]
        assert self._cache_rows is not None
        start, self._cache_at = self._cache_at, len(self._cache_rows)
        return self._cache_rows[start:]

    def scroll(self, value: int, mode: str = "relative") -> Any:
        if not self._has_rows():
            return super().scroll(value, mode)  # type: ignore[misc]
        assert self._cache_rows is not None
        place = {"relative": self._cache_at + value, "absolute": value}.get(mode)
        if place is None:
            raise psycopg2.ProgrammingError("scroll mode must be 'relative' or 'absolute'")
        if not 0 <= place < len(self._cache_rows):
            raise psycopg2.ProgrammingError("scroll destination out of bounds")
        self._cache_at = place
        return None

    def __iter__(self) -> Iterator[Any]:
        if not self._has_rows():
            return super().__iter__()  # type: ignore[misc, no-any-return]
        return iter(self.fetchone, None)

    def __next__(self) -> Any:
        if not self._has_rows():
            return super().__next__()  # type: ignore[misc]
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    @property
    def rownumber(self) -> Any:
        return self._cache_at if self._has_rows() else super().rownumber  # type: ignore[misc]


def _of_answer(name: str) -> property:
    def read(self: Any) -> Any:
        answer = self._cache_answer
        return getattr(answer, name) if answer is not None else getattr(super(_Caching, self), name)

    return property(read)


for _name in ("description", "rowcount", "statusmessage", "query"):
    setattr(_Caching, _name, _of_answer(_name))


def cached_cursor(factory: type[Any] = psycopg2.extensions.cursor) -> type[Any]:
    """Return the subclass of a cursor class that uses the query cache of the request.

    For a connection without the kit: `conn.cursor(cursor_factory=cached_cursor(RealDictCursor))`. All cursors of
    that connection must be such, or a write is not seen; `CachingConnection` sees to that.

    Args:
        factory: psycopg2's own cursor class, or a subclass of it.
    """
    made = _classes.get(factory)
    if made is None:
        if issubclass(factory, _Caching):
            return factory
        made = type(factory.__name__, (_Caching, factory), {"__module__": factory.__module__})
        _classes[factory] = made
    return made


def dressed(make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the cursor that `make` makes, as one that uses the cache."""
    cursor = make(*args, **kwargs)
    kind = cached_cursor(type(cursor))
    return cursor if kind is type(cursor) else made_as(kind, cursor, make, *args, **kwargs)


class CachingConnection(psycopg2.extensions.connection):
    """A connection without the kit's pool, all of whose cursors use the query cache of the request.

    `psycopg2.connect(dsn, connection_factory=CachingConnection, cursor_factory=RealDictCursor)`.
    """

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Return a cursor as ever."""
        return dressed(super().cursor, *args, **kwargs)


def _overheard(name: str) -> Any:
    original = getattr(psycopg2.extensions.connection, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        overheard()
        return original(self, *args, **kwargs)

    return method


for _name in ("lobject", "reset", "tpc_commit", "tpc_rollback"):
    setattr(CachingConnection, _name, _overheard(_name))


def overheard() -> None:
    """Forget all answers: a connection is about to do what no cursor of it hears of."""
    store = at_work.get()
    if store is not None:
        store.forget()


_caching_classes: dict[type[Any], bool] = {}


def _caches(kind: type[Any]) -> bool:
    """Tell whether a class asks and fetches as psycopg2's own do, or says of itself that it may be cached."""
    known = _caching_classes.get(kind)
    if known is None:
        known = getattr(kind, "caches_queries", False) or not any(_is_own_way(kind, name) for name in _OWN_WAYS)
        _caching_classes[kind] = known
    return known


def _is_own_way(kind: type[Any], name: str) -> bool:
    """Tell whether a method is the app's: neither psycopg2's nor the kit's."""
    ours = __name__.rpartition(".")[0] or __name__
    for each in kind.__mro__:
        if name in vars(each) and not each.__module__.startswith((f"{ours}.", "psycopg2.")):
            return each.__module__ != "psycopg2" and each is not object
    return False


def _text_of(cursor: Any, query: Any, vars: Any = None) -> str:
    """Return a statement's text; with its values when these could bring SQL along."""
    if not _is_plain(vars):
        query = cursor.mogrify(query, vars)
    elif isinstance(query, Composable):
        query = query.as_string(cursor)
    if isinstance(query, bytes):
        query = query.decode("utf-8", "replace")
    return str(query)


def _is_plain(values: Any) -> bool:
    if values is None:
        return True
    if isinstance(values, Mapping):
        values = values.values()
    elif not isinstance(values, (list, tuple)):
        return False
    return all(type(value) in _PLAIN or (type(value) in (list, tuple) and _is_plain(value)) for value in values)


def _key(store: QueryStore, cursor: Any, bound: bytes) -> tuple[Any, Any]:
    """Return what tells one answer from another, and what the key needs to be kept alive."""
    conn = cursor.connection
    types = [dict(each) for each in (
        cursor.string_types or {}, cursor.binary_types or {}, conn.string_types or {}, conn.binary_types or {},
    )]  # fmt: skip
    named = tuple(tuple(sorted((oid, id(kind)) for oid, kind in each.items())) for each in types)
    made_by = type(cursor), getattr(cursor, "row_factory", None), cursor.tzinfo_factory, conn.encoding
    return (store.origin(conn), bound, made_by, named), types
