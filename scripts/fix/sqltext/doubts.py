"""What a value may be besides a plain one: a row, whose elements `%` takes, or a text with SQL of its own in it.

Follows names to what they are set from, in one function. If this is wrong, a value is bound that was meant as SQL.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .bound import escapes
from .literals import Unreadable, Value

_SQL = re.compile(r"['\"]|^\s*(?:null|default|true|false|current_\w+|now\(\))\s*$", re.IGNORECASE)
_SCALARS = ("str", "int", "float", "len", "repr", "format")


def origins(scope: ast.AST, node: ast.AST) -> Iterator[ast.AST]:
    """Yield an expression, and what the names in it are set from, and so on."""
    todo: list[ast.AST] = [node]
    seen: set[str] = set()
    while todo:
        each = todo.pop()
        yield each
        fresh = {name.id for name in ast.walk(each) if isinstance(name, ast.Name)} - seen
        seen |= fresh
        for statement in ast.walk(scope) if fresh else ():
            todo.extend(_set(statement, fresh))


def _set(statement: ast.AST, names: set[str]) -> list[ast.AST]:
    """Return what a statement sets one of these names from."""
    if isinstance(statement, ast.Assign):
        targets: list[ast.expr] = statement.targets
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)):
        targets = [statement.target]
    else:
        return []
    value = statement.value
    is_set = any(isinstance(each, ast.Name) and each.id in names for to in targets for each in ast.walk(to))
    return [value] if is_set and value is not None else []


def check_no_sql(scope: ast.AST, value: Value) -> None:
    """Refuse a value without quotes around it that brings quotes or SQL words of its own.

    Raises:
        Unreadable: It does.
    """
    for origin in origins(scope, value.node):
        for each in ast.walk(origin):
            is_call = isinstance(each, ast.Call) and getattr(each.func, "id", "") == "repr"
            is_text = isinstance(each, ast.Constant) and isinstance(each.value, str) and _SQL.search(each.value)
            if is_call or (is_text and not _is_key(origin, each)):
                raise Unreadable(f"`{value.text}` may bring quotes or SQL of its own; bind the plain value")


def _is_key(origin: ast.AST, constant: ast.AST) -> bool:
    """Whether a constant only names what is read: `row["x"]`, `form.get("x")`."""
    for each in ast.walk(origin):
        if isinstance(each, ast.Subscript) and each.slice is constant:
            return True
        if isinstance(each, ast.Call) and getattr(each.func, "attr", "") == "get" and constant in each.args[:1]:
            return True
    return False


def check_not_escaped(scope: ast.AST, value: Value) -> None:
    """Refuse a variable that was escaped before: binding would double that.

    Raises:
        Unreadable: It was.
    """
    for origin in origins(scope, value.node):
        if origin is not value.node and escapes(origin):
            raise Unreadable(f"`{value.text}` is escaped by hand before; bind it as it is, without that")


def may_be_row(scope: ast.AST, node: ast.expr) -> bool:
    """Whether the one value of `text % value` may be a row or a tuple, whose elements it would take."""
    if isinstance(node, (ast.Constant, ast.JoinedStr)):
        return False
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        return name not in (*_SCALARS, "get", "strip", "lower", "upper", "isoformat")
    if isinstance(node, ast.Subscript):
        return not (isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str))
    if isinstance(node, ast.Name):
        return _is_looped(scope, node.id) or any(
            may_be_row(scope, each) for each in _given(scope, node.id) if isinstance(each, ast.expr)
        )
    return not isinstance(node, ast.Attribute)


def _given(scope: ast.AST, name: str) -> list[ast.AST]:
    return [each for statement in ast.walk(scope) for each in _set(statement, {name})
            if not (isinstance(each, ast.Name) and each.id == name)]  # fmt: skip


def _is_looped(scope: ast.AST, name: str) -> bool:
    loops = (each for each in ast.walk(scope) if isinstance(each, (ast.For, ast.comprehension, ast.withitem)))
    targets = (each.optional_vars if isinstance(each, ast.withitem) else each.target for each in loops)
    return any(isinstance(node, ast.Name) and node.id == name for to in targets if to for node in ast.walk(to))
