"""Many rows in few statements: `execute_many`, `insert_many`, `upsert_many`.

`cursor.executemany` is a round trip per row; here a page of rows is one statement, or several statements in
one round trip. Everything runs on the caller's connection, in his transaction, and nothing is committed: what
fails is undone with the rest by the caller's rollback. On a connection in autocommit each page stands alone.
Tables and columns are names, quoted by psycopg2.sql; values are bound by the driver.
Must not import Flask or the pool. If this is wrong, rows are lost, or an id is taken for another row's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg2.extensions import encodings
from psycopg2.sql import SQL, Composable

from .errors import BatchError
from .lookup import Table, column_list, column_names, table_name
from .returned import Written, placed_by_key, placed_in_order
from .values_clause import split
from .write_pages import PAGE, Page, Rows, pages_of

DUPLICATES = ("refuse", "last")


def execute_many(conn: Any, sql: str | Composable, rows: Iterable[Any], *, page_size: int = PAGE) -> Written:
    """Run a statement for each row, as `cursor.executemany` does, in few round trips.

    `INSERT ... VALUES (%s, ...)` becomes an INSERT of a page of rows. So does any statement with `VALUES %s`,
    such as `UPDATE ... FROM (VALUES %s) AS new (id, price)`. Everything else is sent as it is, a page of
    statements per round trip; an INSERT with DO UPDATE, too, for its rows may meet each other.

    Args:
        conn: a connection.
        sql: the statement, with `%s` or `%(name)s` for the values.
        rows: a sequence of values per row, or a dict; drawn page by page.
        page_size: rows per round trip; fewer when they are long.

    Returns:
        What RETURNING returned, in the order of the rows as long as PostgreSQL keeps it; see the docs.

    Raises:
        BatchError: a row that does not fit the statement, with its number; RETURNING in a statement that
            cannot take a page of rows.
        psycopg2.Error: what the server said.
    """
    text = sql.as_string(conn) if isinstance(sql, Composable) else sql
    clause = split(text)
    written = Written()
    with conn.cursor() as cursor:
        for page in pages_of(cursor, rows, page_size, template=clause.template):
            cursor.execute(clause.statement(cursor, page.values))
            if not clause.takes_pages:
                written.rowcount = -1
                continue
            written.add_up(cursor)
            if cursor.description is not None:
                written.extend(cursor.fetchall())
    return written


def insert_many(
    conn: Any,
    table: Table,
    rows: Iterable[Any],
    *,
    columns: Sequence[str] | None = None,
    returning: Sequence[str] = (),
    page_size: int = PAGE,
) -> Written:
    """Insert rows, a page of them per statement.

    Args:
        conn: a connection; its own cursor class makes what is returned.
        table: `"shop.payments"` or `("shop", "payments")`.
        rows: dicts, named tuples, or sequences with `columns`; drawn page by page, a list is checked at once.
        columns: the columns that the rows have; of dicts and named tuples their own.
        returning: columns to return of each row: its new id, what a default or a trigger made of it.
        page_size: rows per statement; fewer when they are long.

    Returns:
        One returned row per row, in the order of the rows.

    Raises:
        BatchError: a row unlike the first or with a value that cannot be sent, with its number; fewer rows
            returned than sent, because a trigger or a rule left some out: then which is which is not known.
        psycopg2.Error: what the server said.
    """
    given = Rows(rows, columns)
    written = Written()
    if given.is_empty:
        return written
    insert = _insert(table, given.columns)
    tail = _returning(returning)
    with conn.cursor() as cursor:
        for page in given.pages(cursor, page_size):
            cursor.execute(_statement(cursor, insert, page, tail))
            written.add_up(cursor)
            if returning:
                written.extend(placed_in_order(cursor.fetchall(), page))
    return written


def upsert_many(
    conn: Any,
    table: Table,
    rows: Iterable[Any],
    *,
    key: Sequence[str],
    update: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    returning: Sequence[str] = (),
    on_duplicate: str = "refuse",
    page_size: int = PAGE,
) -> Written:
    """Insert rows, and update those whose key is there already.

    Args:
        conn, table, rows, columns, page_size: as for `insert_many`.
        key: the columns of a primary key or a unique index.
        update: the columns that an existing row gets; all but the key when None, and with `[]` it stays as it is.
        returning: as for `insert_many`; the key's columns come behind them when they are not among them.
        on_duplicate: what two rows with one key are: `"refuse"`, an error, or `"last"`, the later one counts.

    Returns:
        One returned row per row, in the order of the rows; None for a row that was left as it is.

    Raises:
        BatchError: as for `insert_many`; no key, or a key that is NULL, which meets no other; two rows with
            one key; a key that came back as something else than was sent.
        psycopg2.Error: what the server said.
    """
    if on_duplicate not in DUPLICATES:
        raise BatchError(f"on_duplicate={on_duplicate!r}: it is 'refuse' or 'last'")
    key = (key,) if isinstance(key, str) else tuple(column_names(key))
    if not key:
        raise BatchError("key=[]: name the columns of the primary key or of a unique index")
    if on_duplicate == "last" and update is not None and not update:
        raise BatchError("on_duplicate='last' needs columns to update; with update=[] the first one counts")
    given = Rows(rows, columns, key=key, keeps_last=on_duplicate == "last")
    written = Written()
    if given.is_empty:
        return written
    insert = _insert(table, given.columns)
    shown = (*column_names(returning), *(name for name in key if name not in returning)) if returning else ()
    tail = SQL(" ON CONFLICT ({}) DO {}").format(column_list(key), _action(given.columns, key, update))
    with conn.cursor() as cursor:
        for page in given.pages(cursor, page_size):
            cursor.execute(_statement(cursor, insert, page, tail + _returning(shown)))
            written.add_up(cursor)
            if returning:
                written.extend(placed_by_key(cursor, page, key))
    return written


def _insert(table: Table, columns: Sequence[str]) -> Composable:
    return SQL("INSERT INTO {} ({}) VALUES ").format(table_name(table), column_list(columns))


def _action(columns: Sequence[str], key: Sequence[str], update: Sequence[str] | None) -> Composable:
    names = [name for name in columns if name not in key] if update is None else list(column_names(update))
    for name in names:
        if name not in columns:
            raise BatchError(f"update names {name!r}, which the rows do not have; they have {', '.join(columns)}")
    if not names:
        return SQL("NOTHING")
    return SQL("UPDATE SET ") + SQL(", ").join(
        SQL("{0} = EXCLUDED.{0}").format(column_list([name])) for name in names
    )


def _returning(columns: Sequence[str]) -> Composable:
    return SQL(" RETURNING ") + column_list(columns) if columns else SQL("")


def _statement(cursor: Any, insert: Composable, page: Page, tail: Composable) -> bytes:
    """Return the statement for one page: its values are bound already, so its names must not double a %."""
    encoding = encodings[cursor.connection.encoding]
    before, after = (part.as_string(cursor).replace("%%", "%").encode(encoding) for part in (insert, tail))
    return b"".join((before, b",".join(page.values), after))
