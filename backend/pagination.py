"""`CursorPages`: a list page by page, where page ten thousand costs what the first does.

    APPOINTMENTS = CursorPages("SELECT id, customer_id, starts_at FROM appointments", order="-starts_at")
    APPOINTMENTS.json(conn, cursor=request.args.get("cursor"), size=request.args.get("limit"))

A page begins behind the last row of the page before, found by an index, not by counting: rows that come or go
meanwhile shift nothing. One statement per page; the items are PostgreSQL's own JSON text.
Must not import Flask. If this is wrong, a reader of the whole list misses rows or gets some twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2.sql import Composable

from .cursors import END, START, Keys, Position, Signer
from .errors import NodeError
from .nested import Node
from .nested_pages import new_nonce, parent_node, with_cursors
from .page_limits import check_sizes, read_number
from .page_order import parse_order
from .page_statement import NONCE, ListSql, check_parameters, keyset_statement, own_parameters, run
from .prepared import Statement
from .rows import only_value
from .sqltext import excerpt


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        items_json: the rows, as a JSON array in UTF-8 that PostgreSQL wrote.
        size: how many rows there could be.
        next: the cursor of the page behind; None when there is none.
        previous: the cursor of the page before; None when there is none.
    """

    items_json: bytes
    size: int
    next: str | None
    previous: str | None

    @property
    def items(self) -> list[Any]:
        """The rows, parsed."""
        parsed: list[Any] = json.loads(self.items_json)
        return parsed

    @property
    def has_next(self) -> bool:
        """Whether rows come behind this page."""
        return self.next is not None

    @property
    def has_previous(self) -> bool:
        """Whether rows came before this page."""
        return self.previous is not None

    def json(self) -> bytes:
        """Return `{"items": [...], "next": cursor or null, "previous": cursor or null}`."""
        # No encoder: a cursor needs no escapes.
        following = "null" if self.next is None else f'"{self.next}"'
        preceding = "null" if self.previous is None else f'"{self.previous}"'
        return b'{"items":%s,%s' % (self.items_json, f'"next":{following},"previous":{preceding}}}'.encode())


class CursorPages:
    """A list that is read by cursor; immutable, to be kept in a module constant.

    Args:
        source: the SELECT of all rows, as text, as `psycopg2.sql`, or made by `many`; no ORDER BY, no LIMIT.
        order: its columns to sort by, with commas between: `-starts_at, name DESC NULLS LAST, lower(name)`.
        key: its columns that are unique and never NULL together; they end the order.
        size: rows of a page when none are asked for.
        largest: most rows of a page.
        not_null: columns of `order` that are never NULL; only saves work.
        item: what a row looks like, if not as `source` has it: made by `one`, refers to the row as `page`, runs
            for the rows of the page alone.
        name: what the list is called in its cursors; without it they are bound to the text of `source`, and a
            change of it refuses those that are out.
        varying: parameters that may differ from page to page; all others are bound to the cursor.
        keys: secrets for the cursors, the one to sign with first; None for the app's own.

    Raises:
        NodeError: what does not fit together.
    """

    def __init__(
        self,
        source: str | Composable | Node,
        /,
        *,
        order: str,
        key: str = "id",
        size: int = 20,
        largest: int = 100,
        not_null: Iterable[str] = (),
        item: Node | None = None,
        name: str | None = None,
        varying: Iterable[str] = (),
        keys: Keys | None = None,
    ) -> None:
        check_sizes(size, largest)
        self.size, self.largest = size, largest
        self.columns = parse_order(order, key, not_null)
        self._never_null = [place for place, column in enumerate(self.columns) if not column.nullable]
        self._parts = ListSql(source, item, self.columns)
        self.parameters = own_parameters(self._parts, ("cursor", "size"))
        for unknown in sorted({*varying} - self.parameters):
            known = ", ".join(sorted(self.parameters)) or "none"
            raise NodeError(f"varying names {unknown!r}; the list has {known}")
        self._bound = self.parameters - {*varying}
        ordered = ", ".join(column.clause(column.expression) for column in self.columns)
        self._signer = Signer(f"{name or self._parts.source.body}\n{ordered}", len(self.columns), keys)
        self._has_nested = NONCE in self._parts.parameters
        self._statements: dict[tuple[str, tuple[bool, ...] | None, bool], Statement] = {}

    @property
    def sql(self) -> str:
        """The statement of the first page."""
        return self._statement(START, self.size).sql

    def fetch(self, conn: Any, /, cursor: str | None = None, size: Any = None, **parameters: Any) -> Page:
        """Read a page.

        Args:
            conn: a connection or anything with `cursor()`.
            cursor: `next` or `previous` of another page, as the client sent it; None or "first" is the first
                page, "last" the last.
            size: most rows, as the client sent it: an int or text; None is the list's own.
            **parameters: the values of the `%(name)s` in the SQL.

        Raises:
            CursorError: this list, with these parameters, has not written the cursor.
            PageError: the size is out of bounds.
            NodeError: a parameter is missing or unknown; or the rows are not as declared.
            SettingsError: there is no key to sign cursors with.
            psycopg2.Error: what the server said.
        """
        position, rows, values = self._asked(cursor, size, parameters)
        items, edges = run(conn, self._statement(position, rows), values)
        if self._has_nested:
            items = with_cursors(items, values[NONCE], parameters)
        following, preceding = self._neighbours(position, json.loads(edges.decode()))
        bound = self._bound_to(parameters)
        return Page(
            items,
            rows,
            None if following is None else self._signer.write(following, bound),
            None if preceding is None else self._signer.write(preceding, bound),
        )

    def json(self, conn: Any, /, cursor: str | None = None, size: Any = None, **parameters: Any) -> bytes:
        """Read a page as JSON text: `{"items": [...], "next": ..., "previous": ...}`; else as `fetch`."""
        return self.fetch(conn, cursor, size, **parameters).json()

    def explain(self, conn: Any, /, cursor: str | None = None, size: Any = None, **parameters: Any) -> str:
        """Return the plan of a page, with real times and buffers. Runs the statement; arguments as `fetch`."""
        position, rows, values = self._asked(cursor, size, parameters)
        with conn.cursor() as reader:
            reader.execute(f"EXPLAIN (ANALYZE, BUFFERS) {self._statement(position, rows).sql}", values)
            lines = reader.fetchall()
        return "\n".join(str(only_value(line)) for line in lines)

    def per_parent(self, size: int | None = None, **given: str) -> Node:
        """Return a child node: this list's first page for each row of its parent, `{"items": [...], "next": ...}`.

        The cursor reads on in this list itself. The tree around it goes through `paged`.

        Args:
            size: rows of the page; None is the list's own.
            **given: SQL over the parent's row for parameters of this list, as in `customer_id="c.id"`.

        Raises:
            NodeError: a parameter that the list has not, an alias that it uses itself.
            PageError: the size is out of bounds.
        """
        if self._signer.has_own_keys:
            raise NodeError(f"{self!r} has keys of its own; cursors of nested pages are signed by the app's")
        rows = read_number("size", size, self.size, self.largest)
        return parent_node(self._parts, self._signer.digest, self._bound, given, rows)

    def _asked(
        self, cursor: str | None, size: Any, parameters: dict[str, Any]
    ) -> tuple[Position, int, dict[str, Any]]:
        check_parameters(self.parameters, parameters, self)
        rows = read_number("limit", size, self.size, self.largest)
        position = self._signer.read(cursor, self._bound_to(parameters))
        values: dict[str, Any] = {**parameters, "page_size": rows}
        if self._has_nested:
            values[NONCE] = new_nonce()
        for place, value in enumerate(position.values or ()):
            values[f"page_{place}"] = value
        return position, rows, values

    def _bound_to(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {name: parameters[name] for name in self._bound}

    def _statement(self, position: Position, rows: int) -> Statement:
        nulls = None if position.values is None else tuple(value is None for value in position.values)
        # The usual size is a constant: with a parameter there PostgreSQL would plan for a tenth of the table.
        form = position.side, nulls, rows == self.size
        found = self._statements.get(form)
        if found is None:  # two threads may build it at once, to the same text
            size = str(rows) if rows == self.size else "%(page_size)s"
            found = self._statements[form] = Statement(
                keyset_statement(self._parts, position.side, nulls, size)
            )
        return found

    def _neighbours(
        self, position: Position, edges: Sequence[Sequence[str | None]]
    ) -> tuple[Position | None, Position | None]:
        """Return where the page behind begins, and where the page before ends.

        Args:
            position: where this page was read from.
            edges: the sort values of its first row as it was read, then of its last one if it is full, and of the
                row behind that.
        """
        if not edges:
            return _around_nothing(position)
        self._check_rows(edges)
        has_more = len(edges) == 3
        back, on = ("before", "after") if position.side == "after" else ("after", "before")
        came_from = None if position.values is None else Position(back, tuple(edges[0]))
        leads_to = Position(on, tuple(edges[1])) if has_more else None
        return (leads_to, came_from) if on == "after" else (came_from, leads_to)

    def _check_rows(self, edges: Sequence[Sequence[str | None]]) -> None:
        """Refuse rows that are not as declared: a cursor made of them would skip some of them in silence."""
        if len(edges) == 3 and edges[1] == edges[2]:
            raise NodeError(f"two rows of {self!r} are equal in the whole order; key= must be unique")
        for row in edges:
            for place in self._never_null:
                if row[place] is None:
                    wrong = self.columns[place].expression
                    raise NodeError(f"{wrong} is NULL in {self!r}; take it out of not_null or key")

    def __repr__(self) -> str:
        return f"<CursorPages {excerpt(self._parts.source.template)}>"


def _around_nothing(position: Position) -> tuple[Position | None, Position | None]:
    """Return the neighbours of an empty page: its rows are gone, so the list's edge is beside it."""
    if position.values is None:
        return None, None
    return (None, END) if position.side == "after" else (START, None)
