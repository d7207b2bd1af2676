"""`prefetched()`: what a loop asks for row by row, asked for all rows at once.

    for answer in prefetched(answers, (COMMENTS, lambda answer: (answer["id"],))):
        answer["comments"] = get_comments(answer["id"])

The loop's body stays as it is, in whatever helper, file or class it runs the statement. When it first does, one
statement asks for this row and the following ones, and the executes that follow are answered from memory, by the
app's own cursor. A statement that was not announced is sent as ever; so are all once something was written. What
is announced wrongly is never asked, and changes nothing.
Must not import Flask or the pool. If this is wrong, a row is answered with another row's answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from psycopg2.sql import Composable

from . import scope
from .ahead import Announced, Window
from .cached_cursor import at_work
from .errors import BatchError
from .query_cache import take_part
from .query_store import MOST_ROWS, SIZE, QueryStore
from .site import app_line
from .summed_log import SummedLog

CHUNK = 100  # rows asked for at a time; each is a part of one statement, which the server has to plan
WORTH_TELLING = 3  # rows; below, a loop that asked nothing says little
_unasked = SummedLog(logging.getLogger(__name__))

Statement = tuple["str | Composable", Callable[[Any], Any]]


def prefetched(rows: Iterable[Any], *statements: Statement, chunk: int = CHUNK) -> Iterator[Any]:
    """Iterate over rows whose statements are asked together.

    Args:
        rows: a list, or anything else to iterate over; of what is no collection, a generator or a cursor, up to
            `chunk` elements are read ahead.
        *statements: what the loop's body runs for a row: a SELECT as the body sends it, and a function that
            returns its values for a row: a tuple, a list or a mapping, or None for a row that has none. A function
            that fails leaves its row out.
        chunk: rows asked for at a time.

    Raises:
        BatchError: a statement is no pair of SQL and function, or chunk is less than 1.
    """
    if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
        raise BatchError(f"chunk={chunk!r} must be at least 1")
    announced = [_announced(each) for each in statements]
    take_part()
    return _iterate(rows, announced, chunk, app_line())


def _announced(statement: Any) -> Announced:
    if not isinstance(statement, (tuple, list)) or len(statement) != 2 or not callable(statement[1]):
        raise BatchError(f"{statement!r} announces nothing; give (sql, lambda row: (row[0],))")
    sql, values_of = statement
    if not isinstance(sql, (str, Composable)):
        raise BatchError(f"{sql!r} is no SQL; give the text that the loop's body sends")
    return Announced(sql, values_of)


def _iterate(rows: Iterable[Any], announced: list[Announced], chunk: int, line: str) -> Iterator[Any]:
    store = at_work.get()
    if store is None:
        store = QueryStore(max(SIZE, chunk * len(announced)), MOST_ROWS, frozenset(), keeps=False)
        at_work.set(store)
    window = Window(announced, scope.current())
    store.ahead.append(window)
    count = 0
    try:
        for row in _seen(rows, window, chunk):
            count += 1
            yield row
    finally:
        store.ahead.remove(window)
        if not (store.keeps or store.ahead) and at_work.get() is store:  # the last of ours, and in its own thread
            at_work.set(None)
    if count >= WORTH_TELLING and announced and not window.was_asked:
        _unasked.warning(
            f"the loop at {line} announces {len(announced)} statement(s) and ran none of them in {count} rows: its"
            " SQL or its values are no longer those of the helper that it calls"
        )


def _seen(rows: Iterable[Any], window: Window, chunk: int) -> Iterator[Any]:
    """Yield rows, with those that follow in the window's sight."""
    if not isinstance(rows, Collection):
        rest = iter(rows)
        while several := list(islice(rest, chunk)):
            yield from _seen(several, window, chunk)
        return
    for place, row in enumerate(rows):  # itself, and no copy: a body may change it, and see that as ever
        if not place % chunk:
            window.look(partial(_following, rows, place, chunk))
        yield row


def _following(rows: Iterable[Any], place: int, chunk: int) -> list[Any]:
    return list(islice(iter(rows), place, place + chunk))
