"""`query_cache()`: within a request, the same SELECT with the same values is sent once.

Opt-in, per block or per app, with the rules of Ruby on Rails' query cache: kept for one request, forgotten at
any write, locks never kept, `uncached()` to ask anew. What it answers is as old as the first time the request
asked: another request's commit in between is not seen.
Must not import Flask or the pool. If this is wrong, a request goes on working with what it has changed itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from . import connection
from .cache_stats import cache_stats
from .cached_cursor import CachingConnection, at_work, cached_cursor, dressed, overheard, paused
from .errors import BatchError
from .query_store import MOST_ROWS, SIZE, QueryStore

__all__ = ["CachingConnection", "QueryStore", "cache_queries", "cached_cursor", "query_cache", "uncached"]


@contextmanager
def query_cache(
    size: int = SIZE, *, most_rows: int = MOST_ROWS, functions: Iterable[str] = ()
) -> Iterator[QueryStore]:
    """Answer repeated SELECTs of the block from memory. A block inside another one joins it.

    Args:
        size: answers kept; the one used longest ago goes first.
        most_rows: rows of the largest result that is kept.
        functions: SQL functions of the application's own that only read, as its SQL calls them: `"tax.rate"`.
            Any other function that is not PostgreSQL's counts as a write.

    Yields:
        The store, with `hits`, `misses` and `writes`.

    Raises:
        BatchError: size or most_rows is less than 1, or functions is no list of names.
    """
    store = at_work.get()
    if store is None:
        store = _store(size, most_rows, functions)
        take_part()
    token, resumed = at_work.set(store), paused.set(False)
    try:
        yield store
    finally:
        paused.reset(resumed)
        at_work.reset(token)
        if at_work.get() is None:
            store.forget()
            cache_stats.add("query_cache", store.hits, store.misses)


@contextmanager
def uncached() -> Iterator[None]:
    """Ask the server for every SELECT of the block; writes in it are noticed as ever."""
    token = paused.set(True)
    try:
        yield
    finally:
        paused.reset(token)


def cache_queries(
    app: Any, size: int = SIZE, *, most_rows: int = MOST_ROWS, functions: Iterable[str] = ()
) -> None:
    """Give every request of an app a query cache; a streamed body is sent after its end.

    Args:
        app: a Flask app, or anything with `wsgi_app`.
        size, most_rows, functions: as for `query_cache`.

    Raises:
        BatchError: as for `query_cache`.
    """
    names = tuple(functions) if not isinstance(functions, str) else functions
    _store(size, most_rows, names)
    inner = app.wsgi_app

    def serve(environ: Any, start_response: Any) -> Any:
        with query_cache(size, most_rows=most_rows, functions=names):
            return inner(environ, start_response)

    app.wsgi_app = serve
    take_part()


def take_part() -> None:
    """Have all leases use the cache, from its first use on."""
    connection.dress, connection.overheard = dressed, overheard


def _store(size: int, most_rows: int, functions: Iterable[str]) -> QueryStore:
    for name, value in (("size", size), ("most_rows", most_rows)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BatchError(f"{name}={value!r} must be at least 1; to be without the cache, leave it out")
    functions = functions if isinstance(functions, str) else tuple(functions)
    if isinstance(functions, str) or not all(isinstance(name, str) for name in functions):
        raise BatchError(f"functions must be a list of names, not {functions!r}")
    return QueryStore(size, most_rows, frozenset(name.lower() for name in functions))
