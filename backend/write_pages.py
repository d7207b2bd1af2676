"""Rows on their way to the server: of one shape, bound by the driver, a page at a time.

A list is checked as a whole before the first page is sent. An iterator is drawn page by page and never held;
a bad row in it is found when its page is due. Must not import Flask or send anything.
If this is wrong, values land in another row or column than they were meant for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import psycopg2
from psycopg2.extensions import ISQLQuote, adapters
from psycopg2.extras import Json

from .errors import BatchError
from .lookup import column_names

PAGE = 1000  # rows per statement
LARGEST = 4 << 20  # bytes of one statement; a single longer row still goes, alone
_NONE = object()


class Page:
    """Rows of one statement.

    Attributes:
        first: the number of its first row; rows are counted from 0.
        values: the rows, bound by the driver.
        keys: the key of each row given, also of one that a later row replaced; empty without a key.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.values: list[bytes] = []
        self.keys: list[Hashable] = []
        self.size = 0
        self._places: dict[Hashable, int] = {}

    def add(self, bound: bytes, key: Hashable = None) -> None:
        """Add a row; it takes the place of an earlier one with its key."""
        self.size += len(bound)
        if key is not None:
            self.keys.append(key)
            if self._places.setdefault(key, len(self.values)) < len(self.values):
                self.values[self._places[key]] = bound
                return
        self.values.append(bound)


class Rows:
    """Rows for one table, all of one shape.

    Attributes:
        columns: what the rows have; empty when there are no rows.
    """

    def __init__(
        self,
        rows: Iterable[Any],
        columns: Sequence[str] | None,
        key: Sequence[str] = (),
        keeps_last: bool = False,
    ) -> None:
        _refuse_one_row(rows)
        drawn = iter(rows)
        first = next(drawn, _NONE)
        self.is_empty = first is _NONE
        self.columns = () if self.is_empty else tuple(column_names(columns or _columns_of(first)))
        if len(set(self.columns)) < len(self.columns):
            raise BatchError(f"a column stands twice in {', '.join(self.columns)}")
        self._key, self._keeps_last = tuple(key), keeps_last
        if not self.is_empty:
            self._key_places = _places(self._key, self.columns)
            if isinstance(rows, Sequence):
                for _ in self._checked(rows):
                    pass
        self._rows = chain((first,), drawn)

    def pages(self, cursor: Any, page_size: int) -> Iterator[Page]:
        """Yield the rows, bound, a page at a time."""
        template = "(" + ",".join(["%s"] * len(self.columns)) + ")"
        return _paged(self._checked(self._rows), _binder(cursor, template), page_size)

    def _checked(self, rows: Iterable[Any]) -> Iterator[tuple[Any, Hashable]]:
        """Yield each row's values in the order of the columns, and its key."""
        seen: dict[Hashable, int] = {}
        for number, row in enumerate(rows):
            values = _values_of(number, row, self.columns)
            key = self._key_of(number, values) if self._key else None
            if self._key and not self._keeps_last and seen.setdefault(key, number) != number:
                raise BatchError(
                    f"rows {seen[key]} and {number} have one key, {self._shown(key)};"
                    " leave one out, or pass on_duplicate='last'"
                )
            yield values, key

    def _key_of(self, number: int, values: Sequence[Any]) -> Hashable:
        key = tuple(values[place] for place in self._key_places)
        if None in key:
            raise BatchError(
                f"row {number}: {self._shown(key)} has a NULL, which meets no other; it is inserted each time"
            )
        try:
            hash(key)
        except TypeError:
            raise BatchError(f"row {number}: {self._shown(key)} cannot be compared; send plain values") from None
        return key

    def _shown(self, key: Any) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in zip(self._key, key))[:80]  # noqa: B905


def pages_of(cursor: Any, rows: Iterable[Any], page_size: int, template: str | None) -> Iterator[Page]:
    """Yield rows bound into a template a page at a time.

    Args:
        cursor: binds.
        rows: a sequence or a dict per row.
        page_size: rows per page.
        template: what a row is in the statement; None for `(%s, ...)` of as many as the first row has.

    Raises:
        BatchError: a row that does not fit the template.
    """
    _refuse_one_row(rows)
    drawn = iter(rows)
    first = next(drawn, _NONE)
    if first is _NONE:
        return iter(())
    if template is None:
        if isinstance(first, Mapping):
            raise BatchError("row 0 is a dict: for VALUES %s pass sequences, or write VALUES (%(name)s, ...)")
        columns = ["%s"] * len(_sequence(0, first))
        template = "(" + ",".join(columns) + ")"
    return _paged(((row, None) for row in chain((first,), drawn)), _binder(cursor, template), page_size)


def _paged(
    rows: Iterable[tuple[Any, Hashable]], bind: Callable[[int, Any], bytes], page_size: int
) -> Iterator[Page]:
    if isinstance(page_size, bool) or not isinstance(page_size, int) or page_size < 1:
        raise BatchError(f"page_size={page_size!r}: a page has at least one row")
    page = Page(0)
    given = 0
    for number, (row, key) in enumerate(rows):
        bound = bind(number, row)
        if given and (given >= page_size or page.size + len(bound) > LARGEST):
            yield page
            page, given = Page(number), 0
        page.add(bound, key)
        given += 1
    if given:
        yield page


def _binder(cursor: Any, template: str) -> Callable[[int, Any], bytes]:
    """Return what binds one row, and says which row it was that could not be bound."""

    def bind(number: int, row: Any) -> bytes:
        values = row if isinstance(row, Mapping) else _sequence(number, row)
        try:
            return _bound(cursor, template, values)
        except (psycopg2.ProgrammingError, TypeError, KeyError, IndexError, ValueError) as error:
            if cursor.closed or cursor.connection.closed:
                raise
            said = f"no value for {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
            raise BatchError(f"row {number} cannot be sent: {said}") from error

    return bind


def _bound(cursor: Any, template: str, values: Any) -> bytes:
    try:
        return bytes(cursor.mogrify(template, values))
    except psycopg2.ProgrammingError:
        if (dict, ISQLQuote) in adapters:
            raise
    # A dict can only be for a column of json; psycopg2 would not take it.
    if isinstance(values, Mapping):
        values = {name: _json_of(value) for name, value in values.items()}
    else:
        values = [_json_of(value) for value in values]
    return bytes(cursor.mogrify(template, values))


def _json_of(value: Any) -> Any:
    return Json(value) if isinstance(value, dict) else value


def _refuse_one_row(rows: Any) -> None:
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise BatchError(f"rows must be a list of rows, not {type(rows).__name__}; write [row] for one")


def _columns_of(first: Any) -> Sequence[str]:
    if isinstance(first, Mapping):
        return tuple(first)
    if hasattr(first, "_fields"):
        return tuple(first._fields)
    raise BatchError(f"row 0 is a {type(first).__name__}: pass columns=['...'], or rows that are dicts")


def _places(key: Sequence[str], columns: Sequence[str]) -> list[int]:
    for name in key:
        if name not in columns:
            raise BatchError(f"key names {name!r}, which the rows do not have; they have {', '.join(columns)}")
    return [columns.index(name) for name in key]


def _values_of(number: int, row: Any, columns: Sequence[str]) -> Sequence[Any]:
    if isinstance(row, Mapping):
        if len(row) == len(columns) and all(name in row for name in columns):
            return [row[name] for name in columns]
        missing = [name for name in columns if name not in row]
        extra = [str(name) for name in row if name not in columns]
        parts = (("lacks", missing), ("has besides them", extra))
        said = " and ".join(f"{word} {', '.join(names)}" for word, names in parts if names)
        raise BatchError(f"row {number} {said}; the columns are {', '.join(columns)}")
    values = _sequence(number, row)
    if len(values) != len(columns):
        raise BatchError(f"row {number} has {len(values)} values for the columns {', '.join(columns)}")
    return values


def _sequence(number: int, row: Any) -> Sequence[Any]:
    if isinstance(row, (str, bytes)) or not isinstance(row, Sequence):
        raise BatchError(f"row {number} is a {type(row).__name__}; a row is a dict or a sequence of values")
    return row
