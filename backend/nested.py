"""`one` and `many`: a tree of SELECTs that PostgreSQL answers with one JSON document.

A node is one SELECT whose `{holes}` are child nodes; a child refers to its parent's row by the parent's alias.
The tree becomes a single statement of correlated sub-selects that stay records until the top, where one
`to_json` turns all of it into text: of nine forms measured the fastest, with `[]` for "none" by itself, and
no limit of 50 columns. `json()` hands PostgreSQL's own bytes through; Python never parses them.

SQL stays SQL: nothing is interpolated but other nodes, so values go by `%(name)s` as ever. Whatever can be
wrong about a template is refused when the node is made, which is when the app starts.
Must not import Flask or the pool. If this is wrong, documents lose rows or carry somebody else's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from time import perf_counter
from typing import Any

from psycopg2.sql import Composable

from . import selectlist, slowness
from .composed import text_of
from .errors import NodeError
from .prepared import Statement
from .rows import only_value
from .sqltext import Token, code, excerpt, rendered, scan

ROW = "_row_"  # a column of this name would be taken for the row, so no likely one
_AROUND_LIST = ("select", "all", "distinct")
LONGEST_NAME = 63  # bytes; PostgreSQL cuts longer ones


class Node:
    """One SELECT of the tree; made by `one` and `many`, immutable, to be kept in a module constant.

    Attributes:
        sql: the whole statement, with `%(name)s` parameters.
        parameters: the names of all parameters, the children's included.
        children: the nodes in its holes.
        template: the SELECT as it was written.
    """

    def __init__(self, template: str | Composable, children: Mapping[str, Node], is_list: bool) -> None:
        self.template = text_of(template)
        self.children = dict(children)
        self.is_list = is_list
        self.tokens: Sequence[Token] = _checked(self.template, self.children)
        own = {token.text for token in self.tokens if token.kind == "parameter"}
        self.parameters: frozenset[str] = frozenset(own).union(*(kid.parameters for kid in self.children.values()))
        self._is_explained = False
        self.body = filled(self.tokens, {name: kid.as_column(name) for name, kid in self.children.items()})

    @cached_property
    def sql(self) -> str:
        return self.document_of(self.body)

    @cached_property
    def statement(self) -> Statement:
        """The statement as it is executed, with what is known of its plans."""
        return Statement(self.sql)

    def document_of(self, body: str) -> str:
        """Return the statement that makes one JSON value of such a SELECT's rows."""
        if self.is_list:
            return f"SELECT to_json(ARRAY({_rows_of(body)}))"
        return f"SELECT row_to_json({ROW}) FROM ({body}) {ROW}"

    def as_child_rows(self) -> str:
        """Return the SELECT of this node's rows as records."""
        return _rows_of(self.body)

    def as_column(self, name: str, body: str | None = None) -> str:
        """Return the column that this node is in its parent's SELECT list."""
        rows = _rows_of(self.body if body is None else body)
        return f'ARRAY({rows}) AS "{name}"' if self.is_list else f'({rows}) AS "{name}"'

    def json(self, conn: Any, /, **parameters: Any) -> bytes | None:
        """Run the statement and return PostgreSQL's JSON text.

        Args:
            conn: a connection or anything with `cursor()`.
            **parameters: the values of the `%(name)s` in the SQL.

        Returns:
            UTF-8 bytes; for `one` None when there is no row, for `many` `b"[]"`.

        Raises:
            NodeError: a parameter is missing, or unknown to the SQL.
            psycopg2.Error: what the server said.
        """
        if parameters.keys() != self.parameters:
            check_parameters(self, parameters)
        start = perf_counter()
        body = self.statement.run(conn, parameters)
        seconds = perf_counter() - start
        if seconds > slowness.SLOW and not self._is_explained:
            self._is_explained = slowness.say_why(conn, self, seconds)
        return body

    def fetch(self, conn: Any, /, **parameters: Any) -> Any:
        """Run the statement and return it parsed: a dict or None for `one`, a list for `many`."""
        return parsed(self.json(conn, **parameters))

    def explain(self, conn: Any, /, **parameters: Any) -> str:
        """Return the plan, with real times and buffers. Runs the statement."""
        check_parameters(self, parameters)
        with conn.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {self.statement.sql}", parameters)
            rows = cursor.fetchall()
        return "\n".join(str(only_value(row)) for row in rows)

    def __repr__(self) -> str:
        return f"<{'many' if self.is_list else 'one'} {excerpt(self.template)}>"


def one(template: str | Composable, /, **children: Node) -> Node:
    """Make a node that is one row: an object, or null when there is none.

    Args:
        template: a SELECT whose `{names}` stand where the children's columns go; a `psycopg2.sql` object where
            identifiers are not constant.
        **children: a node for each hole.

    Raises:
        NodeError: a hole without a child, a child without a hole, two columns of one name, a column without a
            name, no SELECT, a parameter inside a literal.
    """
    return Node(template, children, is_list=False)


def many(template: str | Composable, /, **children: Node) -> Node:
    """Make a node that is a list of rows, `[]` when there is none; else as `one`."""
    return Node(template, children, is_list=True)


def _rows_of(body: str) -> str:
    """Return the SELECT of a SELECT's rows as records."""
    return f"SELECT {ROW} FROM ({body}) {ROW}"


def _checked(template: str, children: Mapping[str, Node]) -> list[Token]:
    tokens = scan(template)
    while tokens and (tokens[-1].kind == "space" or tokens[-1].is_mark(";")):
        tokens.pop()
    selectlist.check_statement(tokens, template)
    _check_holes(tokens, template, children)
    _check_names(tokens, template)
    return tokens


def _check_holes(tokens: Sequence[Token], template: str, children: Mapping[str, Node]) -> None:
    text = excerpt(template)
    holes = Counter(token.text for token in tokens if token.kind == "hole")
    for name in sorted(name for name, count in holes.items() if count > 1):
        raise NodeError(f"{{{name}}} stands twice in «{text}»; a child is one column, name each once")
    for name in sorted(children.keys() - holes.keys()):
        raise NodeError(f"child {name!r} has no hole in «{text}»; write {{{name}}} into its SELECT list")
    for name, child in children.items():
        if not isinstance(child, Node):
            raise NodeError(f"child {name!r} must be made by one() or many(), not {type(child).__name__}")
    for name in sorted(holes.keys() - children.keys()):
        raise NodeError(f"{{{name}}} in «{text}» has no child; pass {name}=many(...)")
    if any(token.is_mark("{", "}") for token in tokens):
        raise NodeError(f"a brace in «{text}» that belongs to no hole; write {{name}}, of letters, digits and _")
    words = [Token("mark", "", 0), *code(list(tokens)), Token("mark", "", 0)]
    for at in (at for at, token in enumerate(words) if token.kind == "hole"):
        before, token, after = words[at - 1 : at + 2]
        if len(token.text.encode()) > LONGEST_NAME:
            raise NodeError(f"{{{token.text}}} in «{text}» is longer than PostgreSQL keeps, {LONGEST_NAME} bytes")
        begins = before.is_mark(",", ")") or before.is_word(*_AROUND_LIST)
        ends = after.is_mark(",", ")", "") or after.is_word(*selectlist.AFTER_LIST)
        if not (begins and ends and selectlist.is_in_list(words, at)):
            raise NodeError(
                f"{{{token.text}}} in «{text}» must be a column of its own in a SELECT list; its name is "
                f"{token.text!r}, so no AS"
            )


def _check_names(tokens: list[Token], template: str) -> None:
    select = selectlist.split(tokens)
    names = [selectlist.column_name(column) for column in select.columns] if select else []
    for place, name in enumerate(names, 1):
        if name == "":
            raise NodeError(f"column {place} of «{excerpt(template)}» has no name; write AS name behind it")
        if name == ROW:
            raise NodeError(f"column {place} of «{excerpt(template)}» cannot be called {ROW}; write AS another")
        if name is not None and name in names[place:]:
            raise NodeError(f"two columns of «{excerpt(template)}» are called {name!r}; give one another by AS")


def filled(tokens: Sequence[Token], columns: Mapping[str, str]) -> str:
    """Return the SELECT with a column in the place of each hole."""
    whole = [Token("mark", columns[token.text], 0) if token.kind == "hole" else token for token in tokens]
    return "".join(rendered(whole)).strip()


def parsed(body: bytes | None) -> Any:
    """Return a document as Python values."""
    return None if body is None else json.loads(body)


def check_parameters(node: Node, given: Mapping[str, Any]) -> None:
    """Refuse parameters that are not the node's.

    Raises:
        NodeError: one is missing, or unknown to the SQL.
    """
    missing, unknown = sorted(node.parameters - given.keys()), sorted(given.keys() - node.parameters)
    problems = [
        f"{word} {', '.join(names)}" for word, names in (("missing", missing), ("unknown", unknown)) if names
    ]
    if problems:
        wanted = ", ".join(sorted(node.parameters)) or "none"
        raise NodeError(f"parameters of {node!r}: {'; '.join(problems)}; its SQL names {wanted}")
