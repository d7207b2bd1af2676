"""Many ids in one query: rows, existence, ownership, children, JSON.

Where a loop asked once per id, one statement with one array asks for all of them. Rows come as the
connection's own cursors make them, in the order of the ids, and what was not found is said. Everything runs
on the caller's connection and in his transaction; nothing is committed.
Tables and columns are names, quoted by psycopg2.sql; a SELECT of one's own has `= ANY(%(ids)s)` in it.
Must not import Flask or the pool. If this is wrong, one id is answered with another's row.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from psycopg2.extensions import BYTES
from psycopg2.sql import SQL, Composable, Placeholder

from .errors import BatchError
from .ids import CHUNK, Ids, chunks
from .lookup import Asked, Key, Table, column_list, merged, name, rows_of, select_of, shown, table_name, value_of

_AS_BYTES = {114: BYTES}  # json, as the server wrote it


class Found(list[Any]):
    """The rows that were found, in the order of the ids; an id given twice has its row twice.

    Attributes:
        rows: one entry per id given, None where there is no row.
        missing: the ids without a row, each once, in the order given.
        by_id: the row of each id that has one.
    """

    def __init__(self, given: Sequence[Any], keys: Sequence[Hashable], row_of: Mapping[Hashable, Any]) -> None:
        self.rows = [row_of.get(key) for key in keys]
        super().__init__(row for row in self.rows if row is not None)
        first = dict(zip(reversed(keys), reversed(given)))  # noqa: B905 -- of one length
        self.missing = [first[key] for key in dict.fromkeys(keys) if key not in row_of]
        self.by_id = {first[key]: row_of[key] for key in dict.fromkeys(keys) if key in row_of}


class Ownership(NamedTuple):
    """What `owned_by_ids` says of one id."""

    exists: bool
    owned: bool


def fetch_by_ids(
    conn: Any,
    source: Table | Composable,
    ids: Iterable[Any],
    *,
    key: Key = "id",
    columns: Sequence[str] | None = None,
    id_type: str | Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    chunk: int = CHUNK,
) -> Found:
    """Fetch one row per id: in the order of the ids, duplicates kept, missing ids reported.

    Args:
        conn: a connection; its own cursor class makes the rows.
        source: a table, `"shop.customers"` or `("shop", "customers")`; or a SELECT with `= ANY(%(ids)s)`.
        ids: of one type; for a key of several columns tuples.
        key: the column that holds the id, as the result names it; a tuple of columns with a table.
        columns: what to select of a table; all when None. The key is always among them.
        id_type: the SQL type of the ids when Python's type does not say it: `"uuid"` for ids that are str.
        parameters: further parameters of the SELECT.
        chunk: ids per statement.

    Raises:
        BatchError: an id that cannot be one, with its position and type; two rows for one id; a row whose
            key was not asked for.
        psycopg2.Error: what the server said.
    """
    asked = Asked(ids, key, id_type)
    row_of: dict[Hashable, Any] = {}
    for keys, rows in rows_of(conn, select_of(conn, source, asked, columns), asked, parameters, chunk):
        expected = len(row_of) + len(rows)
        row_of.update(zip(keys, rows))  # noqa: B905 -- of one length
        if len(row_of) < expected:
            twice = next(known_by for known_by in keys if keys.count(known_by) > 1)
            raise BatchError(f"two rows with {shown(key)} {twice!r}; fetch_grouped gives a list per id")
    return Found(asked.given, asked.keys, row_of)


def fetch_grouped(
    conn: Any,
    source: Table | Composable,
    ids: Iterable[Any],
    *,
    key: str,
    columns: Sequence[str] | None = None,
    order: Sequence[str] | str = (),
    id_type: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    chunk: int = CHUNK,
) -> dict[Any, list[Any]]:
    """Fetch the rows that belong to each id: the payments of these appointments.

    Args:
        conn, ids, columns, id_type, parameters, chunk: as for `fetch_by_ids`.
        source: a table, or a SELECT with `= ANY(%(ids)s)` and its own ORDER BY.
        key: the column that says to which id a row belongs.
        order: columns of the table to sort each list by, ascending.

    Returns:
        A list per id, `[]` for an id without rows; each id once, in the order given.

    Raises:
        BatchError, psycopg2.Error: as for `fetch_by_ids`.
    """
    asked = Asked(ids, key, id_type)
    groups: dict[Hashable, list[Any]] = {known_by: [] for known_by in asked.keys}
    by = (order,) if isinstance(order, str) else tuple(order)
    for keys, rows in rows_of(conn, select_of(conn, source, asked, columns, by), asked, parameters, chunk):
        for known_by, row in zip(keys, rows):  # noqa: B905 -- of one length
            groups[known_by].append(row)
    names = dict(zip(reversed(asked.keys), reversed(asked.given)))  # noqa: B905 -- of one length
    return {names[known_by]: rows for known_by, rows in groups.items()}


def exists_by_ids(
    conn: Any,
    table: Table,
    ids: Iterable[Any],
    *,
    key: Key = "id",
    id_type: str | Sequence[str] | None = None,
    chunk: int = CHUNK,
) -> dict[Any, bool]:
    """Tell of each id whether there is a row; arguments and errors as for `fetch_by_ids`.

    Returns:
        id -> bool, in the order given.
    """
    asked = Asked(ids, key, id_type)
    statement = select_of(conn, table, asked, asked.names)
    there = {known_by for keys, _ in rows_of(conn, statement, asked, None, chunk) for known_by in keys}
    return {name: known_by in there for name, known_by in zip(asked.given, asked.keys)}  # noqa: B905 -- of one length


def owned_by_ids(
    conn: Any,
    table: Table,
    ids: Iterable[Any],
    *,
    key: Key = "id",
    id_type: str | Sequence[str] | None = None,
    chunk: int = CHUNK,
    **owner: Any,
) -> dict[Any, Ownership]:
    """Tell of each id whether its row exists and whether it belongs to an owner.

    Args:
        conn, table, ids, key, id_type, chunk: as for `fetch_by_ids`.
        **owner: the columns that say whose a row is, and their values: `customer_id=7`.

    Returns:
        id -> `Ownership(exists, owned)`, in the order given. A key with several rows is owned if all are.

    Raises:
        BatchError: no owner, or one that is None, which would own every row without an owner; else as for
            `fetch_by_ids`.
    """
    if not owner or any(value is None for value in owner.values()):
        raise BatchError("owned_by_ids needs whose the rows should be: customer_id=7; None owns nothing")
    asked = Asked(ids, key, id_type)
    is_owner = SQL(" AND ").join(
        SQL("{} = {}").format(name(column), Placeholder(f"owner_{n}")) for n, column in enumerate(owner)
    )
    statement = SQL("SELECT {}, coalesce({}, false) AS is_owned FROM {} WHERE {}").format(
        column_list(asked.names), is_owner, table_name(table), asked.condition()
    )
    values = {f"owner_{n}": value for n, value in enumerate(owner.values())}
    owned: dict[Hashable, bool] = {}
    for keys, rows in rows_of(conn, statement, asked, values, chunk):
        for known_by, row in zip(keys, rows):  # noqa: B905 -- of one length
            owned[known_by] = owned.get(known_by, True) and bool(value_of(row, "is_owned", len(asked.names)))
    return {
        name: Ownership(known_by in owned, owned.get(known_by, False))
        for name, known_by in zip(asked.given, asked.keys)  # noqa: B905 -- of one length
    }


def json_by_ids(
    conn: Any,
    source: Table,
    ids: Iterable[Any],
    *,
    key: str = "id",
    columns: Sequence[str] | None = None,
    id_type: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    chunk: int = CHUNK,
) -> bytes:
    """Return a JSON array written by PostgreSQL: an object per id in the order given, null for a missing one.

    Args:
        conn, ids, columns, id_type, parameters, chunk: as for `fetch_by_ids`.
        source: a table; or a SELECT of one row that refers to the id as `asked.id`.
        key: the table's column that holds the id. It needs an index: each id is looked up by itself.

    Raises:
        BatchError, psycopg2.Error: as for `fetch_by_ids`.
    """
    asked = Ids(ids, id_type)
    if isinstance(source, str) and re.search(r"\basked\.id\b", source):
        one_row: Composable = SQL(source)
    else:
        one_row = SQL("SELECT {} FROM {} WHERE {} = asked.id").format(
            column_list(columns), table_name(source), name(key)
        )
    # LIMIT 1 keeps the planner from turning the probes into a hash join that reads the whole table.
    statement = SQL(
        "SELECT to_json(ARRAY(SELECT (SELECT _row_ FROM ({}) _row_ LIMIT 1)"
        " FROM unnest(%(ids)s::{}[]) WITH ORDINALITY asked (id, place) ORDER BY asked.place))"
    ).format(one_row, SQL(asked.type))
    parts = []
    for (array,) in chunks([asked.given], chunk):
        with conn.cursor() as cursor:
            cursor.string_types = _AS_BYTES
            cursor.execute(statement, merged(parameters, {"ids": array}))
            row = cursor.fetchone()
        parts.append(bytes(value_of(row, "to_json", 0))[1:-1])
    return b"[" + b",".join(parts) + b"]"


