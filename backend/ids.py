"""Ids as PostgreSQL arrays: checked, cut into chunks, written as text.

`= ANY('{1,2,3}'::bigint[])` is one literal: measured up to twice as fast as `ARRAY[1, 2, 3]`, and the same
statement to pg_stat_statements however many ids there are. What is checked here would otherwise fail inside
PostgreSQL and cost the caller his transaction, or, as a float, quietly find nothing.
Pure functions: no connection. If this is wrong, a lookup finds other rows than those that were asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from .errors import BatchError

CHUNK = 10_000  # ids per statement
LARGEST = 1 << 20  # characters of one statement's arrays; a single longer id still goes, alone
_DIGITS = 21  # of a bigint, its sign and a comma
_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[ .][A-Za-z_][A-Za-z0-9_]*)*(?:\(\d+(?:,\s?\d+)?\))?")
_WHOLE = re.compile(r"[ \t\r\n]*[+-]?[0-9]+[ \t\r\n]*")
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"'})
_OF_PYTHON: dict[type, str] = {
    int: "bigint", str: "text", UUID: "uuid", Decimal: "numeric", date: "date", bytes: "bytea",
}  # fmt: skip
_BITS = {"bigint": 63, "int8": 63, "integer": 31, "int": 31, "int4": 31, "smallint": 15, "int2": 15}
_WITH_ZONE = ("timestamptz", "timestamp with time zone")
# What PostgreSQL or its driver may give back in another shape than it was asked with.
_SAME: dict[str, Callable[[Any], Hashable]] = {
    **dict.fromkeys(_BITS, int),
    "uuid": lambda value: value if isinstance(value, UUID) else UUID(str(value)),
    "numeric": lambda value: value if isinstance(value, (int, Decimal)) else Decimal(str(value)),
    "date": lambda value: date.fromisoformat(value) if isinstance(value, str) else value,
    "bytea": bytes,
    "bpchar": lambda value: value.rstrip(" ") if isinstance(value, str) else value,
    "citext": lambda value: value.lower() if isinstance(value, str) else value,
}


class Ids:
    """The ids of one column, in the caller's order and duplicates included.

    Attributes:
        given: the ids as the caller wrote them.
        keys: for each of them what it is known by in Python: equal exactly when PostgreSQL finds it equal.
        type: the SQL type of one id.
    """

    def __init__(self, ids: Iterable[Any], sql_type: str | None = None) -> None:
        self.given = _listed(ids)
        python, self.type = _type_of(self.given) if sql_type is None else (object, _named_type(sql_type))
        self._same = _SAME.get(self.type.lower())
        if not _is_plain(self.given, self.type):
            for position, value in enumerate(self.given):
                _check(position, value, python, self.type.lower())
        self.keys: list[Hashable] = (
            list(self.given)
            if self._are_their_own_keys()
            else [self._key_at(place, value) for place, value in enumerate(self.given)]
        )

    def key(self, value: Any) -> Hashable:
        """Return what a value that came from the database is known by."""
        if self._same is None or self._same is type(value) or value is None:
            return value  # type: ignore[no-any-return]
        try:
            return self._same(value)
        except (ValueError, TypeError, ArithmeticError):
            return value  # type: ignore[no-any-return]

    def _are_their_own_keys(self) -> bool:
        """Tell so without a look at each: a million ints are checked in C."""
        bits = _BITS.get(self.type.lower())
        if bits is None or set(map(type, self.given)) != {int}:
            return self._same is None
        return bool(-(2**bits) <= min(self.given) and max(self.given) < 2**bits)

    def _key_at(self, position: int, value: Any) -> Any:
        bits = _BITS.get(self.type.lower())
        try:
            if bits is not None and isinstance(value, str) and not _WHOLE.fullmatch(value):
                raise ValueError(value)  # Python's int() takes 1_0 and the digits of all scripts
            key = value if self._same is None else self._same(value)
        except (ValueError, ArithmeticError):
            raise refused(position, value, f"it is no {self.type}") from None
        if bits is not None and not -(2**bits) <= key < 2**bits:
            raise refused(position, value, f"it is beyond {self.type} (-2^{bits} to 2^{bits}-1)")
        return key


def refused(position: int, value: Any, why: str) -> BatchError:
    """Return the error for one id that cannot be looked up."""
    shown = repr(value)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    return BatchError(f"id {shown} at position {position} ({type(value).__name__}): {why}")


def chunks(columns: Sequence[Sequence[Any]], most: int = CHUNK) -> Iterator[list[str]]:
    """Cut columns of checked ids into arrays that one statement can carry.

    Args:
        columns: lists of one length: one list per column of the key.
        most: ids per array; fewer when their text gets longer than `LARGEST`.

    Yields:
        The texts of the arrays, one per column.

    Raises:
        BatchError: most is less than 1.
    """
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise BatchError(f"chunk={most!r}: a statement must carry at least one id")
    if len(columns) == 1 and most * _DIGITS <= LARGEST and set(map(type, columns[0])) == {int}:
        for start in range(0, len(columns[0]), most):
            yield ["{" + ",".join(map(str, columns[0][start : start + most])) + "}"]
        return
    rows: list[list[str]] = []
    size = 0
    for values in zip(*columns):  # noqa: B905 -- of one length
        row = [_written(value) for value in values]
        length = sum(map(len, row)) + len(row)
        if rows and (len(rows) >= most or size + length > LARGEST):
            yield _arrays(rows)
            rows, size = [], 0
        rows.append(row)
        size += length
    if rows:
        yield _arrays(rows)


def _arrays(rows: list[list[str]]) -> list[str]:
    return ["{" + ",".join(column) + "}" for column in zip(*rows)]  # noqa: B905 -- of one length


def _listed(ids: Iterable[Any]) -> list[Any]:
    if isinstance(ids, (str, bytes, bytearray)) or not isinstance(ids, Iterable):
        raise BatchError(f"ids must be a list of ids, not {type(ids).__name__}; write [id] for one")
    return list(ids)


def _named_type(sql_type: Any) -> str:
    if not isinstance(sql_type, str) or not _TYPE.fullmatch(sql_type):
        raise BatchError(f"id_type={sql_type!r} is not the name of a type; write e.g. 'bigint', 'uuid', 'text'")
    return sql_type


def _type_of(values: list[Any]) -> tuple[type, str]:
    """Return the Python type that all values must have, and its SQL type."""
    first = values[0] if values else ""
    if isinstance(first, datetime):
        return datetime, "timestamptz" if first.tzinfo else "timestamp"
    for python, sql_type in _OF_PYTHON.items():
        if isinstance(first, python) and not isinstance(first, bool):
            return python, sql_type
    raise refused(0, first, _why_not(first))


def _is_plain(values: list[Any], sql_type: str) -> bool:
    """Tell whether none of the values needs a look of its own: a million ids are checked in C."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return True  # the range is looked at with the key
    return kinds == {str} and (text := "".join(values)).isascii() and "\0" not in text


def _check(position: int, value: Any, python: type, sql_type: str) -> None:
    """Refuse a value that is no id, or none like the first."""
    if value is None or isinstance(value, (bool, float, list, tuple, dict, set)):
        raise refused(position, value, _why_not(value))
    if not isinstance(value, python) or (python is date and isinstance(value, datetime)):
        raise refused(position, value, f"the ids before it are {python.__name__}; look up one type at a time")
    if isinstance(value, str):
        _check_text(position, value)
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise refused(position, value, "it is not a number")
    elif isinstance(value, datetime):
        if (value.tzinfo is not None) != (sql_type in _WITH_ZONE):
            raise refused(position, value, f"with and without a time zone do not mix; the ids are {sql_type}")
    elif not isinstance(value, (int, UUID, date, bytes)):
        raise refused(position, value, _why_not(value))


def _check_text(position: int, value: str) -> None:
    # JSON can spell a NUL and half a surrogate pair; PostgreSQL's text holds neither.
    if "\0" in value:
        raise refused(position, value, "PostgreSQL's text cannot hold a NUL")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise refused(position, value, "it is not valid Unicode: half of a surrogate pair")


def _why_not(value: Any) -> str:
    if value is None:
        return "NULL equals nothing; leave it out"
    if isinstance(value, bool):
        return "a bool is no id; was a comparison passed in place of a value?"
    if isinstance(value, float):
        return "a float is not exact; pass an int or a Decimal"
    if isinstance(value, (list, tuple, dict, set)):
        return "an id is one value; for a key of several columns pass tuples and key=('a', 'b')"
    return "no SQL type is known for it; pass id_type='...' and the ids as str"


def _written(value: Any) -> str:
    if isinstance(value, int):
        return str(int(value))  # an IntEnum prints its name
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    text = value if isinstance(value, str) else value.isoformat() if isinstance(value, date) else str(value)
    return '"' + text.translate(_ESCAPED) + '"'
