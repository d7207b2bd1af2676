"""`one_from` and `many_from`: nested JSON of tables whose joins the database's own foreign keys say.

The short road for plain trees; it ends in the same nodes as `one` and `many`, and mixes with them. What is
written here is judged at once as far as it can be without a database; names and keys at the first use, when
the catalog is read and the tree compiled, once per process.
Must not import Flask or the pool. If this is wrong, a typo shows in production instead of when the app starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from psycopg2.sql import Composable

from .catalog import TableName, read_catalog
from .composed import text_of
from .errors import NodeError
from .nested import Node
from .sqltext import code, excerpt, scan
from .treesql import Expression, Level, node_of, tables_of

Columns = str | Composable | Sequence[str] | Mapping[str, "str | Composable"]
Order = str | Composable | Sequence[str]

_PARAMETER = re.compile(r"%\(\w+\)s")
_HOLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Tree:
    """Tables that nest; made by `one_from` and `many_from`, to be kept in a module constant.

    It is compiled at its first use, and the same for all threads and connections of the process from then on:
    two databases whose schemas differ need two trees.
    """

    def __init__(self, level: Level) -> None:
        self.level = level
        self._node: Node | None = None

    def node(self, conn: Any) -> Node:
        """Return the node that this tree is short for; reads the catalog when it is the first use.

        Raises:
            SchemaError: a table, a column or a key is not there, or more than one key fits.
            NodeError: names clash, or SQL in it is not well formed.
        """
        if self._node is None:
            # Two threads that come first both compile, to equal nodes: no lock is worth holding over a query.
            self._node = node_of(self.level, read_catalog(conn, tables_of(self.level)))
        return self._node

    def json(self, conn: Any, /, **parameters: Any) -> bytes | None:
        """Run the statement and return PostgreSQL's JSON text, as `Node.json`."""
        return self.node(conn).json(conn, **parameters)

    def fetch(self, conn: Any, /, **parameters: Any) -> Any:
        """Run the statement and return it parsed, as `Node.fetch`."""
        return self.node(conn).fetch(conn, **parameters)

    def explain(self, conn: Any, /, **parameters: Any) -> str:
        """Return the plan, with real times and buffers, as `Node.explain`. Runs the statement."""
        return self.node(conn).explain(conn, **parameters)

    def __repr__(self) -> str:
        return f"<{'many' if self.level.is_list else 'one'}_from {self.level.table!r}>"


def one_from(
    table: TableName,
    columns: Columns = (),
    *,
    where: str | Composable | None = None,
    order: Order | None = None,
    limit: int | None = None,
    via: str | tuple[str | None, str | None] | None = None,
    through: TableName | None = None,
    children: Mapping[str, Tree | Node] | None = None,
    **named_children: Tree | Node,
) -> Tree:
    """Make a tree, or a child of one, that is one row: an object, or null when there is none.

    At the top, without `where`, the row is found by its primary key, whose columns are the parameters. As a child
    it is the row that the parent refers to, or the only one that refers to the parent; with `order` and
    `limit=1` the first of those that do.

    Args:
        table: its name, as `schema.table` or a pair of both where the search path does not lead to it.
        columns: "id plate", "id, plate AS number", "*"; a list of names; or a mapping of the name in the JSON to
            the column or to `psycopg2.sql.SQL`.
        where: SQL about this table's columns, with `%(name)s` parameters.
        order: "-starts_at id", a list of such columns, or `psycopg2.sql.SQL`; the primary key by default.
        limit: the rows per parent.
        via: the foreign key's name or one of its columns, where several fit; with `through` a pair: the link's
            key to the parent, the link's key to this table; either may be None.
        through: a link table; its columns are `link.column` in `columns` and `order`.
        children: children whose names are also options'.
        **named_children: trees, or nodes that refer to this table by its alias.

    Raises:
        NodeError: what cannot be right in any database.
    """
    if limit is not None and limit != 1:
        raise NodeError(f"one_from({table!r}) is one row; limit={limit!r} must be 1, or left out")
    options = {"where": where, "order": order, "limit": limit, "via": via, "through": through}
    return Tree(_level(table, columns, False, options, {**(children or {}), **named_children}))


def many_from(
    table: TableName,
    columns: Columns = (),
    *,
    where: str | Composable | None = None,
    order: Order | None = None,
    limit: int | str | None = None,
    via: str | tuple[str | None, str | None] | None = None,
    through: TableName | None = None,
    children: Mapping[str, Tree | Node] | None = None,
    **named_children: Tree | Node,
) -> Tree:
    """Make a tree, or a child of one, that is a list of rows, `[]` when there is none.

    As a child: the rows that refer to the parent, or those that the link table `through` names.

    Args:
        limit: the rows per parent: a number, or a parameter as `"%(name)s"`.
        Others: as those of `one_from`.

    Raises:
        NodeError: what cannot be right in any database.
    """
    options = {"where": where, "order": order, "limit": limit, "via": via, "through": through}
    return Tree(_level(table, columns, True, options, {**(children or {}), **named_children}))


def _level(
    table: TableName, columns: Columns, is_list: bool, options: dict[str, Any], children: Mapping[str, Any]
) -> Level:
    _refuse_misplaced(table, options)
    if not is_list and options["through"] is not None and options["limit"] is None:
        raise NodeError(f"a link table may lead to many rows of {table!r}; use many_from(), or order= and limit=1")
    return Level(
        table=_table_name(table),
        is_list=is_list,
        columns=tuple(_columns(columns)),
        where=_where(options["where"], table),
        order=_order(options["order"]),
        limit=_limit(options["limit"]),
        via=_via(options["via"], options["through"]),
        through=None if options["through"] is None else _table_name(options["through"]),
        children={name: _child(name, child) for name, child in children.items()},
    )


def _refuse_misplaced(table: TableName, options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if isinstance(value, Tree | Node):
            raise NodeError(f"{name}= is an option of {table!r}; pass the child as children={{{name!r}: ...}}")


def _table_name(table: Any) -> TableName:
    parts = table if isinstance(table, tuple) and len(table) == 2 else (table,)
    if all(isinstance(part, str) and part and "\0" not in part for part in parts):
        return cast(TableName, table)
    raise NodeError(f"{table!r} is no table: write its name, 'schema.table', or the pair ('schema', 'table')")


def _columns(columns: Columns) -> Iterator[tuple[str, str | Expression]]:
    if isinstance(columns, str):
        yield from _from_text(columns)
    elif isinstance(columns, Mapping):
        for label, column in columns.items():
            yield _name(label), _expression(column) if isinstance(column, Composable) else _name(column)
    elif isinstance(columns, Sequence):
        yield from (("", _name(column)) for column in columns)
    else:
        raise NodeError(f"columns are text, a list of names or a mapping, not {type(columns).__name__}")


def _from_text(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(",") if text.strip() else ():
        words = part.split()
        if not words:
            raise NodeError(f"a comma too many in the columns {text!r}")
        while words:
            if len(words) > 1 and words[1].upper() == "AS":
                if len(words) < 3:
                    raise NodeError(f"no name after AS in the columns {text!r}")
                yield _name(words[2]), _name(words[0])
                del words[:3]
            else:
                yield "", _name(words.pop(0))


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name or "\0" in name:
        raise NodeError(f"{name!r} is no column: write its name, or psycopg2.sql.SQL as a mapping's value")
    return name


def _expression(sql: Composable) -> Expression:
    return Expression(_own_sql(sql, "an expression"))


def _where(where: Any, table: TableName) -> str | None:
    return None if where is None else _own_sql(where, f"where= of {table!r}")


def _own_sql(sql: str | Composable, what: str) -> str:
    """Return the text of SQL that stands in a place of its own: nothing in it may reach out of that place."""
    text = text_of(sql)
    tokens = code(scan(text))
    if not tokens:
        raise NodeError(f"{what} is empty; leave it out")
    for token in tokens:
        if token.kind == "hole" or token.is_mark(";"):
            raise NodeError(f"{what} has {token.text!r} in «{excerpt(text)}», where only an expression can stand")
    return text


def _order(order: Any) -> tuple[str, ...] | Expression | None:
    if order is None or isinstance(order, Composable):
        return order if order is None else _expression(order)
    if isinstance(order, str):
        return tuple(order.replace(",", " ").split())
    if isinstance(order, Sequence):
        return tuple(_name(column) for column in order)
    raise NodeError(f"order= is text, a list of columns or psycopg2.sql.SQL, not {type(order).__name__}")


def _limit(limit: Any) -> int | str | None:
    if limit is None or (isinstance(limit, str) and _PARAMETER.fullmatch(limit)):
        return limit
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit < 2**63:
        raise NodeError(f"limit={limit!r} must be a whole number from 1, or a parameter as '%(name)s'")
    return limit


def _via(via: Any, through: Any) -> tuple[str | None, str | None]:
    if through is None:
        if via is None or isinstance(via, str):
            return via, None
        raise NodeError(f"via={via!r} must be the name of a foreign key or of one of its columns")
    if via is None:
        return None, None
    if isinstance(via, tuple) and len(via) == 2 and all(part is None or isinstance(part, str) for part in via):
        return via
    raise NodeError(f"via={via!r} with through= must be a pair: the link's key to the parent, and to this table")


def _child(name: str, child: Any) -> Level | Node:
    if not isinstance(name, str) or not _HOLE_NAME.fullmatch(name):
        raise NodeError(f"{name!r} cannot name a child: letters, digits and _ of ASCII, no digit first")
    if isinstance(child, Tree):
        return child.level
    if isinstance(child, Node):
        return child
    raise NodeError(
        f"child {name!r} must be made by one_from(), many_from(), one() or many(), not {type(child).__name__}"
    )
