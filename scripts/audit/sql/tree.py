"""PostgreSQL's syntax tree, as libpg_query gives it in JSON: parsing, and the few questions that are asked of
nodes.

A node is `{"SelectStmt": {...}}`: its type, and its fields. The library is loaded on first use, and only here. If
its JSON changed, statements would lose their filters; the tests of `statement.py` would fail first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ...errors import CommandError

Node = dict[str, Any]
WRAPPERS = ("lower", "upper", "trim", "btrim", "unaccent", "coalesce", "date", "to_char", "date_trunc", "concat")


def parse(sql: str) -> list[Node] | None:
    """Return the statements of a text, with `stmt` and `stmt_location` (bytes); None when it is no SQL.

    Raises:
        CommandError: The parser is not installed.
    """
    try:
        from pglast import parser
    except ImportError as error:
        raise CommandError(
            f"the audit reads SQL with pglast, which is missing ({error}); pip install 'pglast>=6'"
        ) from None
    try:
        found: list[Node] = json.loads(parser.parse_sql_json(sql)).get("stmts", [])
    except (parser.ParseError, ValueError, RecursionError):
        return None
    return found


def kind(node: Node) -> tuple[str, Node]:
    """Return a node's type and its fields."""
    for name, fields in node.items():
        if isinstance(fields, dict):
            return name, fields
    return "", {}


def walk(start: Any, stop: Iterable[str] = ()) -> Iterator[tuple[str, Node]]:
    """Yield (type, fields) of all nodes under one, in order; those of types in `stop` are not entered."""
    ends = frozenset(stop)
    todo: list[Any] = [start]
    while todo:
        each = todo.pop()
        if each.__class__ is list:
            todo.extend(reversed(each))
        elif each.__class__ is dict:
            inner: list[Any] = []
            for name, fields in each.items():
                if fields.__class__ is dict:
                    if name[0] <= "Z":
                        yield name, fields
                    if name not in ends:
                        inner.append(fields)
                elif fields.__class__ is list:
                    inner.append(fields)
            todo.extend(reversed(inner))


def strings(nodes: Iterable[Node]) -> list[str]:
    """Return the names in a list of String nodes, in lower case."""
    return [node["String"].get("sval", "").lower() for node in nodes if "String" in node]


def column(node: Node | None) -> tuple[tuple[str, ...], str]:
    """Return a column's name parts ("u", "id"), and the function around it; nothing when the node is no column."""
    wrapper = ""
    while node:
        name, fields = kind(node)
        if name == "ColumnRef":
            return tuple(strings(fields.get("fields", ()))), wrapper
        if name in ("TypeCast", "CollateClause"):
            node = fields.get("arg")
        elif (
            name == "FuncCall"
            and (function := strings(fields.get("funcname", ()))[-1:])
            and function[0] in WRAPPERS
        ):
            wrapper = function[0]
            node = next((each for each in fields.get("args", ()) if column(each)[0]), None)
        elif name == "CoalesceExpr":
            wrapper = "coalesce"
            node = next((each for each in fields.get("args", ()) if column(each)[0]), None)
        else:
            return (), ""
    return (), ""


def table(fields: Node) -> str:
    """Return a RangeVar's table, without its schema."""
    return str(fields.get("relname", "")).lower()
