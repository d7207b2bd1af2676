"""What a pool is made with: its sizes, by the library's own order of arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..model.code import Call
from ..model.values import Pool, Values, constants

Table = Mapping[str, tuple[int, tuple[str, ...], int | None]]
# Of each library's pool: where and under which names its sizes stand, and what they are when they do not.
MINIMUM: Table = {"psycopg2.pool.": (0, ("minconn",), None), "psycopg_pool.": (1, ("min_size",), 4)}
MAXIMUM: Table = {  # the last two are the kit's
    "psycopg2.pool.": (1, ("maxconn",), None), "psycopg_pool.": (2, ("max_size",), None),
    ".ThreadedConnectionPool": (1, ("maxconn",), None), ".SimpleConnectionPool": (1, ("maxconn",), None),
}  # fmt: skip


def pool_type(call: Call) -> str:
    """Return the class of the pool that a call makes; "" when that is not known."""
    return next((value.type for value in sorted(call.result, key=repr) if isinstance(value, Pool)), "")


def smallest(call: Call) -> int | None:
    """Return how many connections a pool opens at once; None when that is not known."""
    return _size(call, MINIMUM, min)


def largest(call: Call) -> int | None:
    """Return how many connections a pool can have; None when that is not known."""
    return _size(call, MAXIMUM, max)


def _size(call: Call, table: Table, pick: Callable[[Iterable[int]], int]) -> int | None:
    kind = pool_type(call)
    library = next((name for name in table if kind.startswith(name) or kind.endswith(name)), None)
    if library is None:
        return None
    position, names, default = table[library]
    given: Values = call.arguments[position] if position < len(call.arguments) else frozenset()
    for name in names:
        given = given or call.keywords.get(name, frozenset())
    numbers = [number for number in map(_number, constants(given)) if number is not None]
    if not numbers:
        return default
    return pick(numbers)


def _number(value: object) -> int | None:
    """Return a constant as a number: defaults of environment reads are texts."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 6 else None
