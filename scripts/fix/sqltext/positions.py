"""What a bare value of a statement is compared with or stored in, by PostgreSQL's own grammar.

A string that is bound becomes `'5'`, which takes the type of the column beside it; where there is no column it
does not, so those places are told apart. If this is wrong, a fixed statement fails, or sorts by a constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...audit.sql.tree import Node, kind, parse, walk

_EQUALITIES = ("=", "<>", "!=")
_COMPARISONS = ("=", "<>", "!=", "<", ">", "<=", ">=")
EQUAL, COLUMN, LIST, OTHER = "equal", "column", "list", "other"


def positions(sql: str) -> dict[int, str] | None:
    """Return for each `$n` where it stands.

    EQUAL: what equals a column, or a LIMIT. COLUMN: what is ordered against a column or stored in one, where the
    text '007' may be another value than the number. LIST: alone in a list. OTHER: elsewhere.

    Returns None when PostgreSQL would not take the statement.
    """
    statements = parse(sql)
    if not statements:
        return None
    found = {int(fields.get("number", 0)): OTHER for name, fields in walk(statements) if name == "ParamRef"}
    for name, fields in walk(statements):
        found.update(_of(name, fields))
    return found


def _of(name: str, fields: Node) -> dict[int, str]:
    if name == "A_Expr":
        return _compared(fields)
    if name == "InsertStmt":
        return _inserted(fields)
    if name == "UpdateStmt":
        values = [each.get("ResTarget", {}).get("val") for each in fields.get("targetList", ())]
        return dict.fromkeys(_numbers(values), COLUMN)
    if name == "SelectStmt":
        return dict.fromkeys(_numbers([fields.get("limitCount"), fields.get("limitOffset")]), EQUAL)
    return {}


def _compared(fields: Node) -> dict[int, str]:
    if kind(fields.get("lexpr", {}))[0] != "ColumnRef":
        return {}
    operator = fields["name"][0].get("String", {}).get("sval")
    which, right = fields.get("kind"), fields.get("rexpr", {})
    if which == "AEXPR_OP" and operator in _COMPARISONS:
        return dict.fromkeys(_numbers([right]), EQUAL if operator in _EQUALITIES else COLUMN)
    items = right.get("List", {}).get("items", ())
    if which == "AEXPR_IN":
        return dict.fromkeys(_numbers(items), LIST if len(items) == 1 else COLUMN)
    return dict.fromkeys(_numbers(items), COLUMN) if which in ("AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN") else {}


def _inserted(fields: Node) -> dict[int, str]:
    columns = len(fields.get("cols", ()))
    found: dict[int, str] = {}
    for each in fields.get("selectStmt", {}).get("SelectStmt", {}).get("valuesLists", ()):
        items = each.get("List", {}).get("items", ())
        if columns in (0, len(items)) and (columns or len(items) > 1):
            found.update(dict.fromkeys(_numbers(items), COLUMN))
    return found


def _numbers(nodes: Any) -> Iterator[int]:
    for each in nodes:
        if each and "ParamRef" in each:
            yield int(each["ParamRef"].get("number", 0))
