"""`one` and `many`: a tree of SELECTs that PostgreSQL answers with one JSON document.

A node is one SELECT whose `{holes}` are child nodes; a child refers to its parent's row by the parent's alias.
The tree becomes a single statement of correlated sub-selects that stay records until the top, where one
`to_json` turns all of it into text: of nine forms measured the fastest, with `[]` for "none" by itself, and
no limit of 50 columns. `json()` hands PostgreSQL's own bytes through; Python never parses them.

SQL stays SQL: nothing is interpolated but other nodes, so values go by `%(name)s` as ever.
Must not import Flask or the pool. If this is wrong, documents lose rows or carry somebody else's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from psycopg2.extensions import BYTES

from .errors import NodeError

HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
JSON_OID = 114
AS_BYTES = {JSON_OID: BYTES}  # the driver copies the text once, in C, and parses nothing


class Node:
    """One SELECT of the tree; made by `one` and `many`, immutable, to be kept in a module constant.

    Attributes:
        sql: the whole statement, with `%(name)s` parameters.
    """

    def __init__(self, template: str, children: Mapping[str, Node], is_list: bool) -> None:
        self._record_set = _filled(template, children)
        self._is_list = is_list
        self.sql = (
            f"SELECT to_json(ARRAY({self.as_child_rows()}))"
            if is_list
            else f"SELECT row_to_json(r) FROM ({self._record_set}) r"
        )

    def as_child_rows(self) -> str:
        """Return the SELECT of this node's rows as records."""
        return f"SELECT r FROM ({self._record_set}) r"

    def as_column(self, name: str) -> str:
        """Return the column that this node is in its parent's SELECT list."""
        rows = self.as_child_rows()
        return f'ARRAY({rows}) AS "{name}"' if self._is_list else f'({rows}) AS "{name}"'

    def json(self, conn: Any, **parameters: Any) -> bytes | None:
        """Run the statement and return PostgreSQL's JSON text.

        Args:
            conn: a connection or anything with `cursor()`.
            **parameters: the values of the `%(name)s` in the SQL.

        Returns:
            UTF-8 bytes; for `one` None when there is no row, for `many` `b"[]"`.

        Raises:
            psycopg2.Error: what the server said.
        """
        with conn.cursor() as cursor:
            cursor.string_types = AS_BYTES
            cursor.execute(self.sql, parameters)
            row = cursor.fetchone()
        return None if row is None else _first(row)

    def fetch(self, conn: Any, **parameters: Any) -> Any:
        """Run the statement and return it parsed: a dict or None for `one`, a list for `many`."""
        body = self.json(conn, **parameters)
        return None if body is None else json.loads(body)

    def explain(self, conn: Any, **parameters: Any) -> str:
        """Return the plan, with real times and buffers. Runs the statement."""
        with conn.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {self.sql}", parameters)
            return "\n".join(str(_first(row)) for row in cursor.fetchall())

    def __repr__(self) -> str:
        return f"<{'many' if self._is_list else 'one'} {' '.join(self._record_set.split())[:60]}...>"


def one(template: str, /, **children: Node) -> Node:
    """Make a node that is one row: an object, or null when there is none.

    Args:
        template: a SELECT whose `{names}` stand where the children's columns go.
        **children: a node for each hole.

    Raises:
        NodeError: a hole without a child, a child without a hole, a hole used twice.
    """
    return Node(template, children, is_list=False)


def many(template: str, /, **children: Node) -> Node:
    """Make a node that is a list of rows, `[]` when there is none; else as `one`."""
    return Node(template, children, is_list=True)


def _first(row: Any) -> Any:
    """Return a row's only column, whatever the connection's cursors make of rows."""
    return next(iter(row.values())) if isinstance(row, Mapping) else row[0]


def _filled(template: str, children: Mapping[str, Node]) -> str:
    holes = HOLE.findall(template)
    text = " ".join(template.split())[:60]
    for name in sorted({name for name in holes if holes.count(name) > 1}):
        raise NodeError(f"{{{name}}} stands twice in «{text}»; a child is one column, name each once")
    for name in sorted(set(children) - set(holes)):
        raise NodeError(f"child {name!r} has no hole in «{text}»; write {{{name}}} into its SELECT list")
    for name, child in children.items():
        if not isinstance(child, Node):
            raise NodeError(f"child {name!r} must be made by one() or many(), not {type(child).__name__}")
    missing = sorted(set(holes) - set(children))
    if missing:
        raise NodeError(f"{{{missing[0]}}} in «{text}» has no child; pass {missing[0]}=many(...)")
    return HOLE.sub(lambda hole: children[hole[1]].as_column(hole[1]), template)
