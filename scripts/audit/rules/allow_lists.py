"""Whether code lets only a known few values into a text: `if sort not in ALLOWED: abort(400)`.

If this is wrong, a column that anybody can name goes unreported, or an allow-list is reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..model.code import Function, Module
from ..model.values import Hole

_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Assign)
_FIXED = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Name, ast.Attribute)


def is_checked(function: Function, hole: Hole) -> bool:
    """Whether each name that fills a hole was looked up in a fixed collection before."""
    if hole.site.path != function.path or function.is_module:
        return False
    nodes = [node for node in _expressions(function) if _is_at(node, hole)]
    names = {each.id for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name)}
    names -= {
        each.func.id
        for node in nodes
        for each in ast.walk(node)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
    }
    return bool(names) and all(_is_restricted(function, name, hole.site.line) for name in names)


def _expressions(function: Function) -> Iterator[ast.expr]:
    """Yield what can be the value of a hole: names and what stands in the braces of f-strings."""
    for node in ast.walk(function.node):
        if isinstance(node, ast.FormattedValue):
            yield node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
            yield from (
                each
                for each in (node.left, node.right)
                if not isinstance(each, (ast.Constant, ast.JoinedStr, ast.BinOp))
            )
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            yield from node.args
            yield from (keyword.value for keyword in node.keywords)


def _is_at(node: ast.expr, hole: Hole) -> bool:
    """Whether an expression fills a hole; one that is joined by `+` or `%` has the line of the whole only."""
    if node.lineno == hole.site.line and node.col_offset == hole.site.col:
        return True
    return hole.site.line <= node.lineno <= hole.site.line + 6 and isinstance(node, ast.Name)


def _is_restricted(function: Function, name: str, line: int) -> bool:
    module = function.module
    for node in ast.walk(function.node):
        if isinstance(node, ast.Assign) and any(getattr(each, "id", "") == name for each in node.targets):
            if not isinstance(node.value, ast.IfExp):
                continue
            if _tests(module, node.value.test):
                return True
        elif isinstance(node, ast.If) and node.lineno <= line and name in _tests(module, node.test):
            return _holds(node, line) or any(isinstance(each, _LEAVES) or _aborts(each) for each in node.body)
    return False


def _holds(node: ast.If, line: int) -> bool:
    return node.body[0].lineno <= line <= (node.body[-1].end_lineno or line)


def _tests(module: Module, test: ast.expr) -> set[str]:
    """Return the names that a condition looks up in a fixed collection."""
    return {
        name.id
        for each in ast.walk(test)
        if isinstance(each, ast.Compare)
        and isinstance(each.ops[0], (ast.In, ast.NotIn))
        and _is_fixed(module, each.comparators[0])
        for name in ast.walk(each.left)
        if isinstance(name, ast.Name)
    }


def _is_fixed(module: Module, node: ast.expr) -> bool:
    """Whether a collection stands in the code: a display, or a name in capitals or of a display."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("keys", "values")
    ):
        node = node.func.value
    if (
        isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in ("frozenset", "set", "list", "tuple")
        and node.args
    ):
        node = node.args[0]
    if isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.Dict)):
        return True
    if not isinstance(node, _FIXED):
        return False
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.isupper() or any(
        isinstance(each, ast.Assign) and isinstance(each.value, (ast.List, ast.Tuple, ast.Set, ast.Dict))
        and any(getattr(target, "id", getattr(target, "attr", "")) == name for target in each.targets)
        for each in ast.walk(module.tree)
    )  # fmt: skip


def _aborts(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) in (
        "abort",
        "exit",
    )
