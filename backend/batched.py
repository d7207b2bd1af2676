"""`@batched`: a helper that asks for one id, answered from a batch for the ids that were announced.

Neither the helper nor its callers change, but for one line before the loop that says which ids will come.
Must not import Flask or the pool. If this is wrong, a helper answers with another id's row, or an old one.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

from .copies import copied
from .errors import BatchError
from .loader import MOST, Batch, Lazy, checked_key, keys_in, memory

Helper = TypeVar("Helper", bound=Callable[..., Any])


def batched(fetch: Callable[..., Any], *, key: str | None = None, most: int = MOST) -> Callable[[Helper], Helper]:
    """Decorate a helper that asks for one id: what was announced by its `prefetch` comes from one batch.

        @batched(get_customers)                      # get_customers(ids) -> dict or list
        def get_customer(customer_id): ...           # as it was

        get_customer.prefetch(appointments, "customer_id")
        for appointment in appointments:
            customer = get_customer(appointment["customer_id"])

    What was not announced is answered by the helper itself, as ever, and so is what the batch has nothing of,
    and everything outside a request and a `with loading():` block. Each call gets a copy of its own, as from a
    query of its own.
    The helper gets `prefetch(ids or rows, column=None, **others)` and `clear(id, **others)`.

    Args:
        fetch: takes a list of ids; called with the helper's other arguments by their names.
        key: the parameter that is the id; the only one when None.
        most: ids per call of `fetch`.

    Raises:
        BatchError: the helper has no parameter of that name, or several and none is named.
    """

    def decorate(helper: Helper) -> Helper:
        announced = _Announced(helper, fetch, key, most)

        @functools.wraps(helper)
        def answer(*args: Any, **kwargs: Any) -> Any:
            return announced.answer(args, kwargs)

        answer.prefetch = announced.prefetch  # type: ignore[attr-defined]
        answer.clear = announced.clear  # type: ignore[attr-defined]
        return answer  # type: ignore[return-value]

    return decorate


class _Announced:
    """What was announced of one helper: a batch for each set of its other arguments."""

    def __init__(self, helper: Callable[..., Any], fetch: Callable[..., Any], key: str | None, most: int) -> None:
        self._signature = inspect.signature(helper)
        names = list(self._signature.parameters)
        if (key is None and len(names) != 1) or (key is not None and key not in names):
            raise BatchError(f"{helper.__name__}({', '.join(names)}): say by key='...' which parameter is the id")
        self._key = key or names[0]
        self._helper, self._fetch, self._most = helper, fetch, most

    def answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer one call: from the batch when its id was announced."""
        lazy = self._find(args, kwargs)
        if lazy is None:
            return self._helper(*args, **kwargs)
        value = lazy.get()
        if value is None:
            return self._helper(*args, **kwargs)  # it may raise, or have a default, for what is not there
        try:
            return copied(value)
        except (TypeError, copy.Error):
            return self._helper(*args, **kwargs)

    def prefetch(self, keys: Iterable[Any], column: str | int | None = None, **others: Any) -> None:
        """Announce ids, or rows with an id in a column; None is left out. Does nothing outside a request."""
        held = memory()
        if held is None:
            return
        others = self._others(**{self._key: None, **others})
        batches = held.setdefault(self, {})
        batch = batches.setdefault(_frozen(others), Batch(functools.partial(self._fetch, **others), self._most))
        for key in keys_in(keys, column):
            batch.ask(checked_key(key))

    def clear(self, key: Any, **others: Any) -> None:
        """Forget what was fetched for an id, as after a write: the helper answers for it again."""
        batches = (memory() or {}).get(self, {})
        batch = batches.get(_frozen(self._others(**{self._key: None, **others})))
        if batch is not None:
            batch.forget(key)

    def _find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Lazy | None:
        batches = (memory() or {}).get(self)
        if not batches:
            return None
        try:
            bound = self._signature.bind(*args, **kwargs)
            key = bound.arguments.get(self._key)
            batch = batches.get(_frozen(self._others(*args, **kwargs)))
            return batch.known.get(key) if batch is not None else None
        except TypeError:
            return None  # arguments that the helper itself refuses, or that were never announced

    def _others(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return {name: value for name, value in bound.arguments.items() if name != self._key}


def _frozen(others: Mapping[str, Any]) -> Hashable:
    frozen = tuple(others.items())
    hash(frozen)
    return frozen
