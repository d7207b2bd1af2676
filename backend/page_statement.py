"""The statement of a page: its rows as one JSON document, and beside it what the page's edges are made of.

    WITH "~page" AS MATERIALIZED (<the rows in order, one more than asked for>)
    SELECT <the document>, <the sort values of the first row, the last one and the extra one>

Names that begin with ~ are ours: no column of a list is called so by accident. Sort values travel as PostgreSQL's
own text, which is the one form that all its types have and that it reads back without loss.
Knows nothing of cursors or HTTP. If this is wrong, pages repeat or skip rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg2.sql import Composable

from .errors import NodeError
from .keyset import stretches
from .nested import Node, many
from .page_order import SortColumn
from .prepared import Statement
from .sqltext import scan

OURS = "page_"  # how the parameters begin that the kit adds
NONCE = "page_nonce"  # marks the nested pages of one execution
ALIAS = "page"  # what a list's `item` calls its row


class ListSql:
    """The parts that all statements of one list share.

    Args:
        source: the SELECT of all rows.
        item: what a row looks like, if not as `source` has it; refers to the row as `page`.
        columns: the order.

    Raises:
        NodeError: a parameter has a name that is taken.
    """

    def __init__(self, source: str | Composable | Node, item: Node | None, columns: Sequence[SortColumn]) -> None:
        self.source = many(source) if not isinstance(source, Node) else source
        if not self.source.is_list:
            raise NodeError("the SELECT of a list is text or made by many(), not by one()")
        if item is not None and (not isinstance(item, Node) or item.is_list):
            raise NodeError("item is what one row looks like, so it is made by one()")
        self.item = item
        self.columns = tuple(columns)
        self.rows = f"({self.source.body})"
        tokens = [token for column in columns for token in scan(column.expression)]
        named = {token.text for token in tokens if token.kind == "parameter"}
        self.parameters = self.source.parameters.union(named, item.parameters if item is not None else ())

    def page(self, columns: Sequence[SortColumn], conditions: Sequence[str], tail: str) -> str:
        """Return the WITH clause that reads a page's rows, in the order of reading.

        Args:
            columns: the order of reading.
            conditions: which rows; several are read one by one and merged, none is all rows.
            tail: the LIMIT, and OFFSET.
        """
        branches = [self._branch(columns, condition, tail) for condition in conditions or [""]]
        rows = branches[0]
        if len(branches) > 1:
            by = ", ".join(column.clause(f'"~{place}"') for place, column in enumerate(columns))
            rows = f'SELECT * FROM (({") UNION ALL (".join(branches)})) "~all" ORDER BY {by} {tail}'
        return f'WITH "~page" AS MATERIALIZED ({rows})'

    def _branch(self, columns: Sequence[SortColumn], condition: str, tail: str) -> str:
        row = '"~row" AS "~item"' if self.item is None else '"~row".*'
        values = ", ".join(f'({column.expression}) AS "~{place}"' for place, column in enumerate(columns))
        where = f" WHERE {condition}" if condition else ""
        by = ", ".join(column.clause(f"({column.expression})") for column in columns)
        return f'SELECT {row}, {values} FROM {self.rows} "~row"{where} ORDER BY {by} {tail}'

    def items(self, size: str) -> str:
        """Return the expression that is the array of a page's first rows, as they were read.

        What is materialized is read in the order in which it was written.
        """
        return f'ARRAY(SELECT {self._shape} FROM "~page" {ALIAS} LIMIT {size})'

    def items_turned(self, size: str) -> str:
        """Return the same for rows that were read backwards, in the order of the list."""
        by = ", ".join(column.clause(f'"~{place}"') for place, column in enumerate(self.columns))
        return f'ARRAY(SELECT {self._shape} FROM (SELECT * FROM "~page" LIMIT {size}) {ALIAS} ORDER BY {by})'

    @property
    def _shape(self) -> str:
        return '"~item"' if self.item is None else f"({self.item.as_child_rows()})"

    def values(self) -> str:
        """Return a row's sort values as an array of text."""
        texts = (f'"~{place}"::text' for place in range(len(self.columns)))
        return f"ARRAY[{', '.join(texts)}]"


def keyset_statement(parts: ListSql, side: str, is_null: Sequence[bool] | None, size: str) -> str:
    """Return the statement of a page on one side of a position.

    Args:
        parts: the list.
        side: "after" or "before".
        is_null: which of the position's values are NULL; None: there are no values, it is the list's end.
        size: SQL for how many rows.
    """
    forward = side == "after"
    columns = parts.columns if forward else tuple(column.reversed() for column in parts.columns)
    conditions = [] if is_null is None else stretches(columns, is_null)
    if is_null is not None and not conditions:
        conditions = ["false"]
    page = parts.page(columns, conditions, f"LIMIT {size} + 1")
    items = parts.items(size) if forward else parts.items_turned(size)
    edge = f'ARRAY(SELECT {parts.values()} FROM "~page"'
    return (
        f"{page} SELECT to_json({items}) AS items, "
        f"to_json({edge} LIMIT 1) || {edge} LIMIT 2 OFFSET {size} - 1)) AS edges"
    )


def run(conn: Any, statement: Statement, parameters: Mapping[str, Any]) -> list[Any]:
    """Execute a statement of one row of JSON and return its columns' texts, in UTF-8.

    Raises:
        psycopg2.Error: what the server said.
    """
    row = statement.run_row(conn, parameters)
    assert row is not None  # the SELECT on the outside has no FROM
    return row


def check_parameters(wanted: frozenset[str], given: Mapping[str, Any], who: object) -> None:
    """Refuse parameters that do not fit the SQL.

    Raises:
        NodeError: one is missing, or unknown.
    """
    missing, unknown = sorted(wanted - given.keys()), sorted(given.keys() - wanted)
    if not missing and not unknown:
        return
    sides = (("missing", missing), ("unknown", unknown))
    problems = [f"{word} {', '.join(names)}" for word, names in sides if names]
    raise NodeError(
        f"parameters of {who!r}: {'; '.join(problems)}; its SQL names {', '.join(sorted(wanted)) or 'none'}"
    )


def own_parameters(parts: ListSql, taken: Iterable[str]) -> frozenset[str]:
    """Return the parameters that an app gives to a list.

    Raises:
        NodeError: a name is taken by an argument, or by the kit.
    """
    own = frozenset(name for name in parts.parameters if name != NONCE)
    for name in sorted(own):
        if name in set(taken) or name.startswith(OURS):
            raise NodeError(f"%({name})s: that name is taken in a list; call the parameter otherwise")
    return own

