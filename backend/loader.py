"""Values asked for one by one, fetched in one batch: for code that cannot be restructured.

A `Loader` queues what is asked for until the first answer is needed, then fetches all of it at once. There is
no event loop here that could wait for the last question: only what was asked for, or announced by `prefetch`,
before the first answer is needed can be in the batch.

Answers are kept for one request, or one `with loading():` block, and for one thread.
Must not import Flask or the pool. If this is wrong, one request sees what another one loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from . import scope
from .batch import Found
from .errors import BatchError

MOST = 1000  # keys per call of the batch function
Fetch = Callable[[list[Any]], Any]
_block: ContextVar[dict[Any, Any] | None] = ContextVar("harden_loading", default=None)


class Lazy:
    """A value that is fetched, with all others that were asked for meanwhile, when it is needed first."""

    __slots__ = ("_batch", "_key", "error", "is_there", "value")

    def __init__(self, batch: Batch, key: Any) -> None:
        self._batch, self._key = batch, key
        self.is_there = False
        self.value: Any = None
        self.error: BaseException | None = None

    def get(self) -> Any:
        """Return the value; None when the batch has none.

        Raises:
            Exception: what the batch function raised, or gave as the value of this key.
        """
        if not self.is_there:
            self._batch.fetch_for(self)
        if self.error is not None:
            raise self.error
        return self.value

    def set(self, value: Any) -> None:
        """Give it its value; an exception is raised by `get`."""
        self.is_there = True
        if isinstance(value, BaseException):
            self.error = value
        else:
            self.value = value

    def __repr__(self) -> str:
        return f"<Lazy {self._key!r}{'' if self.is_there else ', not fetched'}>"


class Batch:
    """The values of one loader in one request and thread, and what is to be fetched."""

    def __init__(self, fetch: Fetch, most: int) -> None:
        self.known: dict[Hashable, Lazy] = {}
        self._fetch, self._most = fetch, most
        self._queue: list[tuple[Any, Lazy]] = []

    def ask(self, key: Any) -> Lazy:
        """Return what is known or queued of a key; else queue it."""
        lazy = self.known.get(key)
        if lazy is None:
            lazy = self.known[key] = Lazy(self, key)
            self._queue.append((key, lazy))
        return lazy

    def fetch_for(self, wanted: Lazy) -> None:
        """Fetch all of the queue. What fails is not kept: a later call asks for it again."""
        queue, self._queue = self._queue, []
        try:
            for start in range(0, len(queue), self._most):
                self._fill(queue[start : start + self._most])
        except BaseException as error:
            for key, lazy in queue:
                if not lazy.is_there:
                    lazy.set(error)
                    self.forget(key, lazy)
            if not isinstance(error, Exception):
                raise
        if not wanted.is_there:
            raise BatchError(f"{wanted!r} is being fetched already; a batch function must not ask for its keys")

    def _fill(self, chunk: list[tuple[Any, Lazy]]) -> None:
        keys = list(dict.fromkeys(key for key, _ in chunk))  # one that was cleared may be queued twice
        value_of = dict(zip(keys, _aligned(self._fetch(list(keys)), keys), strict=True))
        for key, lazy in chunk:
            lazy.set(value_of[key])
            if lazy.error is not None:
                self.forget(key, lazy)

    def forget(self, key: Hashable, lazy: Lazy | None = None) -> None:
        """Drop a key; given a Lazy, only if it is still that one."""
        if lazy is None or self.known.get(key) is lazy:
            self.known.pop(key, None)


class Loader:
    """Loads values by key, many at a time; to be kept in a module constant.

    Args:
        fetch: takes a list of different keys; returns a mapping by key, in which a missing one is None, or a
            sequence with one value per key, in their order; what `fetch_by_ids` returns will do. A value that
            is an exception is raised for its key alone.
        most: keys per call of `fetch`.
    """

    def __init__(self, fetch: Fetch, *, most: int = MOST) -> None:
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise BatchError(f"most={most!r}: a batch has at least one key")
        self._fetch, self._most = fetch, most

    def load(self, key: Any) -> Lazy:
        """Ask for a value; it is fetched when the first `get()` of any of them is called.

        Raises:
            BatchError: the key is None or cannot be a key, or there is neither a request nor `with loading():`.
        """
        return self._batch().ask(checked_key(key))

    def get(self, key: Any) -> Any:
        """Return the value of a key, from the batch when it is there or queued."""
        return self.load(key).get()

    def get_many(self, keys: Iterable[Any]) -> list[Any]:
        """Return the values of keys in their order."""
        return [lazy.get() for lazy in [self.load(key) for key in keys]]

    def prefetch(self, keys: Iterable[Any], column: str | int | None = None) -> None:
        """Announce keys, or rows with a key in a column: the next `get` fetches them along. None is left out."""
        for key in keys_in(keys, column):
            self.load(key)

    def prime(self, key: Any, value: Any) -> None:
        """Put in a value that is known already; what is known or queued stays as it is."""
        batch = self._batch()
        if checked_key(key) not in batch.known:
            batch.known[key] = lazy = Lazy(batch, key)
            lazy.set(value)

    def clear(self, key: Any) -> None:
        """Forget a value, as after a write."""
        self._batch().forget(checked_key(key))

    def clear_all(self) -> None:
        """Forget all values."""
        self._batch().known.clear()

    def _batch(self) -> Batch:
        held = memory()
        if held is None:
            raise BatchError("a loader needs a request, or `with loading():` around what it serves")
        if self not in held:
            held[self] = Batch(self._fetch, self._most)
        batch: Batch = held[self]
        return batch


@contextmanager
def loading() -> Iterator[None]:
    """Keep what loaders load until the end of the block: where there is no request, or for less than one."""
    token = _block.set({})
    try:
        yield
    finally:
        _block.reset(token)


def memory() -> dict[Any, Any] | None:
    """Return what this thread has loaded in the block or request at work; None outside both."""
    held = _block.get()
    if held is None:
        current = scope.current()
        if current is None:
            return None
        held = vars(current).setdefault("_loaded", {})
    mine: dict[Any, Any] = held.setdefault(threading.get_ident(), {})
    return mine


def checked_key(key: Any) -> Any:
    """Return what can be a key.

    Raises:
        BatchError: it is None, or cannot be compared.
    """
    if key is None:
        raise BatchError("None is no key; leave it out, or ask before: row.get('customer_id') may be NULL")
    try:
        hash(key)
    except TypeError:
        raise BatchError(f"a {type(key).__name__} is no key; of several values make a tuple") from None
    return key


def keys_in(keys: Iterable[Any], column: str | int | None) -> list[Any]:
    """Return keys, or those in a column of rows, without None."""
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable):
        raise BatchError(f"prefetch takes a list of keys or rows, not {type(keys).__name__}")
    found = keys if column is None else (_column_of(row, column) for row in keys)
    return [key for key in found if key is not None]


def _column_of(row: Any, column: str | int) -> Any:
    if isinstance(column, str) and isinstance(row, tuple):
        return getattr(row, column)  # a named tuple
    return row[column]


def _aligned(answer: Any, keys: list[Any]) -> Sequence[Any]:
    """Return one value per key.

    Raises:
        BatchError: the batch function returned something else than that.
    """
    if isinstance(answer, Found):
        return answer.rows
    if isinstance(answer, Mapping):
        return [answer.get(key) for key in keys]
    if not isinstance(answer, Sequence) or isinstance(answer, (str, bytes)):
        raise BatchError(f"a batch function returns a mapping or a list, not {type(answer).__name__}")
    if len(answer) != len(keys):
        raise BatchError(
            f"a batch function returned {len(answer)} values for {len(keys)} keys; return a mapping by key, or one"
            " value per key in their order, None for a missing one"
        )
    return answer
