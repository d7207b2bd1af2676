"""What the lookups of `batch.py` have in common: ids with their columns, the statement, the rows read by key.

Must not import Flask or the pool. If this is wrong, one id is answered with another's row.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from psycopg2.sql import SQL, Composable, Identifier

from .errors import BatchError
from .ids import Ids, chunks, refused

Table = str | tuple[str, ...]
Key = str | tuple[str, ...]
_ANY = re.compile(r"%\(ids\)s(?!\s*::)")


class Asked:
    """The ids of one lookup: of one column, or of several, each with its name."""

    def __init__(self, ids: Iterable[Any], key: Key, id_type: str | Sequence[str] | None) -> None:
        self.names = (key,) if isinstance(key, str) else tuple(key)
        if not self.names or not all(isinstance(column, str) and column for column in self.names):
            raise BatchError(f"key={key!r} must be the name of a column, or a tuple of names")
        self.is_single = isinstance(key, str)
        types: Sequence[Any] = (id_type,) if id_type is None or isinstance(id_type, str) else id_type
        if len(types) == 1:
            types = (*types,) * len(self.names)
        if len(types) != len(self.names):
            raise BatchError(f"id_type has {len(types)} types for the {len(self.names)} columns of key")
        if self.is_single:
            self.columns = [Ids(ids, types[0])]
            self.given, self.keys = self.columns[0].given, self.columns[0].keys
        else:
            self.given = _tuples(ids, len(self.names))
            parts = zip(*self.given) if self.given else ((),) * len(self.names)  # noqa: B905 -- checked
            self.columns = [Ids(part, kind) for part, kind in zip(parts, types)]  # noqa: B905 -- checked
            self.keys = list(zip(*(column.keys for column in self.columns)))  # noqa: B905 -- of one length

    def key_of(self, values: Sequence[Any]) -> Hashable:
        """Return what a row with these values of the key's columns is known by."""
        keys = tuple(column.key(value) for column, value in zip(self.columns, values))  # noqa: B905 -- of one length
        return keys[0] if self.is_single else keys

    def parameters(self, chunk: int) -> Iterator[dict[str, str]]:
        """Yield the arrays of one statement after the other, each id once."""
        once = dict(zip(self.keys, self.given))  # noqa: B905 -- of one length
        values = list(once.values())
        columns = [values] if self.is_single else list(zip(*values))  # noqa: B905 -- checked
        for arrays in chunks(columns, chunk):
            yield {"ids": arrays[0]} if self.is_single else {f"ids_{n}": text for n, text in enumerate(arrays)}

    def condition(self) -> Composable:
        """Return the WHERE of a lookup by these ids."""
        if self.is_single:
            return SQL("{} = ANY(%(ids)s::{}[])").format(name(self.names[0]), SQL(self.columns[0].type))
        # A join, and the planner's choice: without an index on the key it reads the table once, not per id.
        names = SQL(", ").join(map(name, self.names))
        arrays = SQL(", ").join(
            SQL("%({})s::{}[]").format(SQL(f"ids_{n}"), SQL(column.type)) for n, column in enumerate(self.columns)
        )
        return SQL("({}) IN (SELECT * FROM unnest({}))").format(names, arrays)


def name(*parts: str) -> Identifier:
    """Return a quoted name for a statement that has parameters: there a % stands for itself only in twos."""
    return Identifier(*(part.replace("%", "%%") for part in parts))


def rows_of(
    conn: Any, statement: Composable, asked: Asked, parameters: Mapping[str, Any] | None, chunk: int
) -> Iterator[tuple[list[Hashable], list[Any]]]:
    """Yield the rows of one statement after the other, and what their ids are known by.

    Raises:
        BatchError: the key is not in the result, or a row's was not asked for.
    """
    wanted = set(asked.keys)
    for arrays in asked.parameters(chunk):
        with conn.cursor() as cursor:
            cursor.execute(statement, merged(parameters, arrays))
            rows = cursor.fetchall()
            keys = _keys_of(rows, cursor.description, asked)
        if not wanted.issuperset(keys):
            raise _unasked(next(key for key in keys if key not in wanted), asked)
        yield keys, rows


def _keys_of(rows: list[Any], description: Any, asked: Asked) -> list[Hashable]:
    """Return the keys of rows, whatever the connection's cursors make of rows."""
    there = [column[0] for column in description]
    for column in asked.names:
        if there.count(column) != 1:
            count = "no" if column not in there else "more than one"
            raise BatchError(f"{count} column {column!r} in the result ({', '.join(there)}); pass key='...'")
    if not rows:
        return []
    is_named = isinstance(rows[0], Mapping)
    read = itemgetter(*(column if is_named else there.index(column) for column in asked.names))
    keys = map(read, rows)
    if asked.is_single:
        return list(map(asked.columns[0].key, keys))
    return [asked.key_of(key if len(asked.names) > 1 else (key,)) for key in keys]


def value_of(row: Any, column: str, place: int) -> Any:
    """Return one column of a row of any kind."""
    return row[column] if isinstance(row, Mapping) else row[place]


def _unasked(known_by: Hashable, asked: Asked) -> BatchError:
    types = ", ".join(column.type for column in asked.columns)
    return BatchError(
        f"a row has {shown(asked.names)} {known_by!r} ({type(known_by).__name__}), which was not asked for as"
        f" {types}; key= must name the column that ANY compares, and id_type= that column's type"
    )


def shown(key: Key) -> str:
    """Return the key's columns for a message."""
    return key if isinstance(key, str) else ", ".join(key)


def merged(own: Mapping[str, Any] | None, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return the caller's parameters and ours.

    Raises:
        BatchError: one of the caller's has the name of ours.
    """
    clash = sorted(set(own or ()) & set(arrays))
    if clash:
        raise BatchError(f"parameter {clash[0]!r} is the array of the ids; call yours something else")
    return {**(own or {}), **arrays}


def select_of(
    conn: Any,
    source: Table | Composable,
    asked: Asked,
    columns: Sequence[str] | None = None,
    order: Sequence[str] = (),
) -> Composable:
    """Return the statement that finds the rows of the ids.

    Args:
        conn: quotes what a Composable has to quote.
        source: a table, or a SELECT with `%(ids)s`.
        asked: the ids.
        columns: what to select of a table; the key comes along.
        order: columns to sort a table's rows by.

    Raises:
        BatchError: a SELECT without `%(ids)s`, no name of a table, or arguments that only a table takes.
    """
    if isinstance(source, Composable) and not isinstance(source, Identifier):
        return _own_select(source.as_string(conn), asked, columns is not None or bool(order))
    if isinstance(source, str) and re.search(r"\s", source.strip()):
        return _own_select(source, asked, columns is not None or bool(order))
    if columns is not None:
        columns = [*column_names(columns), *(key for key in asked.names if key not in columns)]
    statement = SQL("SELECT {} FROM {} WHERE {}").format(
        column_list(columns), table_name(source), asked.condition()
    )
    return statement + SQL(" ORDER BY ") + column_list(order) if order else statement


def _own_select(text: str, asked: Asked, has_extras: bool) -> Composable:
    if "%(ids)s" not in text:
        raise BatchError(f"no %(ids)s in «{' '.join(text.split())[:60]}»; write ... WHERE id = ANY(%(ids)s)")
    if has_extras or not asked.is_single:
        raise BatchError("columns=, order= and a key of several columns need a table; a SELECT says them itself")
    return SQL(_ANY.sub(f"%(ids)s::{asked.columns[0].type}[]", text))


def column_names(columns: Sequence[str]) -> Sequence[str]:
    """Return names of columns, checked.

    Raises:
        BatchError: it is one text, or holds what is no name.
    """
    if isinstance(columns, str) or not all(isinstance(column, str) and column for column in columns):
        raise BatchError(f"columns must be a list of names, not {columns!r}")
    return columns


def column_list(columns: Sequence[str] | None) -> Composable:
    """Return columns for a SELECT list; None is all of them."""
    return SQL("*") if columns is None else SQL(", ").join(map(name, column_names(columns)))


def table_name(table: Any) -> Composable:
    """Return a table's name, quoted: of "schema.table" both parts.

    Raises:
        BatchError: it is no name.
    """
    parts = table.strings if isinstance(table, Identifier) else table
    parts = parts.split(".") if isinstance(parts, str) else parts
    good = isinstance(parts, (list, tuple)) and parts and all(isinstance(part, str) and part for part in parts)
    if not good or any("\0" in part for part in parts):
        raise BatchError(f"{table!r} is not the name of a table; write 'table', 'schema.table' or a tuple of both")
    return name(*parts)


def _tuples(ids: Iterable[Any], width: int) -> list[tuple[Any, ...]]:
    given = list(ids)
    for position, value in enumerate(given):
        if not isinstance(value, (tuple, list)) or len(value) != width:
            raise refused(position, value, f"the key has {width} columns; pass a tuple of {width} values")
    return [tuple(value) for value in given]
