"""One pass over a table before anything is written: which values fit which type, and examples of the rest.

SQLite counts; Python is called for a value only where SQL cannot judge it. Memory does not grow with the
table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .kinds import kind_of
from .schema import Table, quoted
from .source import Source

AT_ONCE = 400  # questions in one SELECT; SQLite's own limit is 2,000
EXAMPLES = 3


@dataclass
class Counts:
    """What a table holds: its rows, the NULLs of a column, and the misfits of a column for a type."""

    rows: int
    nulls: dict[str, int]
    misfits: dict[tuple[str, str], int]


def scan(source: Source, table: Table, wanted: dict[str, list[str]]) -> Counts:
    """Count each column's misfits for each type in `wanted`.

    Raises:
        sqlite3.DatabaseError: a page of the table is damaged.
    """
    questions: list[tuple[tuple[str, str], str]] = []
    for column in table.columns:
        name = quoted(column.name)
        questions.append(((column.name, "null"), f"{name} IS NULL"))
        questions.extend(((column.name, kind), misfit(source, kind, name)) for kind in wanted[column.name])
    found: dict[tuple[str, str], int] = {}
    rows = 0
    for start in range(0, len(questions), AT_ONCE):
        part = questions[start : start + AT_ONCE]
        sums = ", ".join(f"coalesce(sum({text}), 0)" for _, text in part)
        rows, *answers = source.connection.execute(f"SELECT count(*), {sums} FROM {quoted(table.name)}").fetchone()
        found.update({key: int(answer) for (key, _), answer in zip(part, answers, strict=True)})
    nulls = {column.name: found.pop((column.name, "null")) for column in table.columns}
    return Counts(int(rows), nulls, found)


def misfit(source: Source, kind: str, name: str) -> str:
    """Return SQL that is true for a value that the type does not hold."""
    wrong = kind_of(kind).wrong
    if wrong:
        return wrong.format(name)
    function = f"harden_misfit_{''.join(letter if letter.isalnum() else '_' for letter in kind)}"
    source.connection.create_function(
        function, 2, _judge(source.encoding, kind_of(kind).value), deterministic=True
    )
    # As a blob, so that text which is not valid UTF-8 can be looked at instead of ending the query.
    return f"{function}(CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END, typeof({name}))"


def _judge(encoding: str, value: Callable[[Any], Any]) -> Callable[[Any, str], bool]:
    def is_misfit(stored: Any, storage: str) -> bool:
        if stored is None and storage == "null":
            return False
        try:
            # An empty text comes as NULL: sqlite3 has no blob of no bytes.
            value((stored or b"").decode(encoding) if storage == "text" else b"" if stored is None else stored)
        except (ValueError, ArithmeticError, RecursionError):
            return True
        return False

    return is_misfit


def examples(source: Source, table: Table, column: str, kind: str) -> list[str]:
    """Return the first misfits as "rowid 7: 'abc'", or by primary key where there is no rowid."""
    name = quoted(column)
    keys = [table.rowid] if table.rowid else [quoted(key) for key in table.primary_key]
    where = misfit(source, kind, name)
    text = (
        f"SELECT {', '.join(keys)}, typeof({name}), quote({name}) FROM {quoted(table.name)} WHERE {where} LIMIT ?"
    )
    label = "rowid" if table.rowid else ", ".join(table.primary_key)
    with _readable(source.connection):
        rows: Sequence[Any] = source.connection.execute(text, (EXAMPLES,)).fetchall()
    return [f"{label} {', '.join(str(key) for key in row[:-2])}: {row[-2]} {_short(str(row[-1]))}" for row in rows]


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


class _readable:
    """Let text that is not UTF-8 be shown instead of ending the query."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.text_factory = lambda data: data.decode(errors="backslashreplace")

    def __exit__(self, *_: object) -> None:
        self._connection.text_factory = str


def orphans(source: Source, table: Table) -> Iterator[tuple[str, str, int]]:
    """Yield (parent, first row, count) of each foreign key that SQLite did not keep.

    A foreign key to columns that are not unique, or to no table, yields a count of -1.
    """
    try:
        found: dict[tuple[str, int], list[Any]] = {}
        for _, rowid, parent, number in source.connection.execute(
            f"PRAGMA foreign_key_check({quoted(table.name)})"
        ):
            entry = found.setdefault((str(parent), int(number)), [rowid, 0])
            entry[1] += 1
        for (parent, _), (rowid, count) in found.items():
            yield parent, str(rowid), count
    except sqlite3.OperationalError as error:
        yield str(error), "", -1
