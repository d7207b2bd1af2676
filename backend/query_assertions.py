"""What a test says about queries: so many, or none that repeats.

    with assert_queries(max=4):
        client.get("/customers/7")

    @no_repeats()
    def test_profile(client): ...

A failure lists the statements with their counts and lines, the most frequent first.
Knows nothing of Flask or pytest. If this is wrong, an N+1 passes the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import QueryCountError, RepeatsError
from .query_counter import PAIR, QueryCounter
from .repeats import message

SHOWN = 20  # lines of a failure


class _AtMost(QueryCounter):
    def __init__(self, low: int, high: int, name: str = "") -> None:
        super().__init__(name)
        self._low, self._high = low, high

    def _fresh(self, function: Callable[..., Any]) -> QueryCounter:
        return _AtMost(self._low, self._high, function.__qualname__)

    def _judge(self) -> None:
        __tracebackhide__ = True
        super()._judge()
        refuse_count(self, self._low, self._high)


class _NoRepeats(QueryCounter):
    def _fresh(self, function: Callable[..., Any]) -> QueryCounter:
        return _NoRepeats(function.__qualname__, limit=self.limit)

    def _judge(self) -> None:
        __tracebackhide__ = True
        super()._judge()
        refuse_repeats(self)


def assert_queries(max: int | None = None, exactly: int | None = None) -> QueryCounter:
    """Fail when a block, or a decorated function, sends more queries than it may.

    Args:
        max: so many at most.
        exactly: so many, no more and no fewer.

    Raises:
        QueryCountError: at the end of the block, with the statements and their lines.
        MonitorError: no query could be seen.
        ValueError: neither or both were given, or one below zero.
    """
    given = max if exactly is None else exactly
    if given is None or (max is not None and exactly is not None) or given < 0:
        raise ValueError("give one of them, 0 or more: assert_queries(max=4) or assert_queries(exactly=1)")
    return _AtMost(0 if exactly is None else given, given)


def no_repeats(limit: int = PAIR) -> QueryCounter:
    """Fail when a line runs one statement again and again, within one request or the block itself.

    Args:
        limit: so many runs are no repeats yet. So a test needs rows enough: three for the default of 2.

    Raises:
        RepeatsError: at the end of the block, with the lines and the rewrite that fits.
        MonitorError: no query could be seen.
    """
    return _NoRepeats(limit=limit)


def refuse_count(counter: QueryCounter, low: int, high: int) -> None:
    """Raise QueryCountError unless a counter's count is within bounds."""
    __tracebackhide__ = True
    count = counter.count
    if low <= count <= high:
        return
    wanted = f"exactly {high}" if low == high else f"{high} at most"
    advice = dict.fromkeys(f"  {found.advice}" for found in counter.repeats[:3])
    raise QueryCountError(
        "\n".join([_named(counter, f"{counter} where there may be {wanted}"), *listed(counter), *advice]), count
    )


def refuse_repeats(counter: QueryCounter) -> None:
    """Raise RepeatsError when something repeated."""
    __tracebackhide__ = True
    found = counter.repeats
    if found:
        raise RepeatsError("\n".join([*map(message, found), *listed(counter)]), found)


def _named(counter: QueryCounter, text: str) -> str:
    return f"{counter.name}: {text}" if counter.name else text


def listed(counter: QueryCounter) -> list[str]:
    """Return a counter's statements as lines of text, the most frequent first."""
    queries = counter.queries
    lines = [
        f"  {group.count:>5} x {group.seconds * 1000:>7.1f} ms  {group.site}  {group.statement.text[:160]}"
        for group in queries[:SHOWN]
    ]
    return lines if len(queries) <= SHOWN else [*lines, f"  and {len(queries) - SHOWN} more"]
