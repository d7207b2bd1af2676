"""Encrypted columns of many rows in one pass: each distinct ciphertext is decrypted once.

    rows = decrypt_rows(cursor.fetchall(), ["phone", "email"], fernet.decrypt)
    rows = decrypt_rows(rows, ["phone"], decrypt_all=kms.decrypt_batch)      # a list in, a list of that length out

One query for the rows, and one pass over them; no query and no decryption per row in a loop. What encryption it
is, the app's function knows. Nothing is kept after the call.
Must not import Flask or the pool. If this is wrong, one person's text stands in another's row.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .errors import DecryptError

RAISE: Any = object()
Column = str | int
Decrypt = Callable[[Any], Any]
DecryptAll = Callable[[list[Any]], Sequence[Any]]


def decrypt_rows(
    rows: Iterable[Any],
    columns: Sequence[Column],
    decrypt: Decrypt | None = None,
    *,
    decrypt_all: DecryptAll | None = None,
    instead: Any = RAISE,
) -> list[Any]:
    """Return the rows with these columns decrypted; the rows given stay as they are.

    Args:
        rows: dicts, named tuples, tuples or lists, as a cursor returns them; drawn once.
        columns: names, or positions in tuples and lists. NULL stays None; `bytea` comes as bytes.
        decrypt: makes the text of one ciphertext.
        decrypt_all: makes the texts of a list of ciphertexts, in their order; instead of `decrypt`, for what is
            cheaper in bulk. An exception in its list stands for a text that could not be decrypted.
        instead: what a value that cannot be decrypted becomes; without it that is an error.

    Returns:
        A list of rows of the same classes, in the same order.

    Raises:
        DecryptError: a value cannot be decrypted, told by its row and column; all of them cannot; another number
            of texts came back than was given. It never has the value, nor the words of what failed.
        ValueError: both functions are given, or none; a column that a row does not have.
    """
    if (decrypt is None) == (decrypt_all is None):
        raise ValueError("pass decrypt or decrypt_all, one of them")
    held = list(rows)
    first_at = _places(held, columns)
    texts = list(first_at)
    made = _each(decrypt, texts) if decrypt else _in_bulk(decrypt_all, texts)
    clear: dict[Any, Any] = {}
    for text, value in zip(texts, made, strict=True):
        if isinstance(value, _Failed) and instead is RAISE:
            raise _error(value, *first_at[text])
        clear[text] = instead if isinstance(value, _Failed) else value
    return [_replaced(row, columns, clear) for row in held]


class _Failed(NamedTuple):
    """A text that could not be decrypted; the class of the error alone, for its words may have the value."""

    kind: str


def _places(rows: Sequence[Any], columns: Sequence[Column]) -> dict[Any, tuple[int, Column]]:
    """Return where each distinct ciphertext stands first."""
    found: dict[Any, tuple[int, Column]] = {}
    for number, row in enumerate(rows):
        for column in columns:
            value = _plain(_value(row, column, number))
            if value is None:
                continue
            if not isinstance(value, (str, bytes)):
                raise ValueError(f"column {column!r} of row {number} is {type(value).__name__}, no ciphertext")
            found.setdefault(value, (number, column))
    return found


def _value(row: Any, column: Column, number: int) -> Any:
    try:
        if isinstance(column, str) and isinstance(row, tuple):
            return getattr(row, column)
        return row[column]
    except (LookupError, AttributeError, TypeError):
        pass  # raised below: what failed would carry the row along
    raise ValueError(f"row {number} has no column {column!r}")


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _each(decrypt: Decrypt, texts: Sequence[Any]) -> list[Any]:
    made: list[Any] = []
    for text in texts:
        try:
            made.append(decrypt(text))
        except Exception as error:
            made.append(_Failed(type(error).__name__))
    return made


def _in_bulk(decrypt_all: DecryptAll | None, texts: list[Any]) -> list[Any]:
    if decrypt_all is None or not texts:
        return []
    try:
        made: Sequence[Any] | _Failed = decrypt_all(list(texts))
    except Exception as error:
        made = _Failed(type(error).__name__)  # raised below, without the trail of what failed
    if isinstance(made, _Failed):
        raise DecryptError(f"none of {len(texts)} texts can be decrypted ({made.kind}); look at the key")
    if len(made) != len(texts):
        raise DecryptError(f"decrypt_all got {len(texts)} texts and returned {len(made)}; return one for each")
    return [_Failed(type(value).__name__) if isinstance(value, Exception) else value for value in made]


def _error(failed: _Failed, row: int, column: Column) -> DecryptError:
    return DecryptError(
        f"row {row}, column {column!r} cannot be decrypted ({failed.kind}); look at its key, or pass instead=",
        row,
        column,
    )


def _replaced(row: Any, columns: Sequence[Column], clear: Mapping[Any, Any]) -> Any:
    """Return a row of the same class with the columns' values replaced."""
    if isinstance(row, tuple):
        values = list(row)
        for column in columns:
            place = row._fields.index(column) if isinstance(column, str) else column  # type: ignore[attr-defined]
            values[place] = clear.get(_plain(values[place]))
        make = getattr(row, "_make", tuple)
        return make(values)
    made = copy.copy(row)
    for column in columns:
        made[column] = clear.get(_plain(row[column]))
    return made
