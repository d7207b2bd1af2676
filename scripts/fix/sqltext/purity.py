"""Which expressions can be evaluated once more, once less or a few lines later, with the same outcome.

If this is wrong, a value is bound that is not the one that stood in the text.
"""

from __future__ import annotations

import ast

_CONVERSIONS = ("str", "int", "float", "len", "bool", "tuple", "list")
_READERS = ("get", "strip", "lower", "upper", "title", "isoformat", "replace")
_PLAIN = (
    ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Call, ast.expr_context, ast.JoinedStr,
    ast.FormattedValue, ast.BinOp, ast.operator, ast.keyword, ast.UnaryOp, ast.unaryop,
)  # fmt: skip


def is_pure(node: ast.expr) -> bool:
    """Whether it only reads: names, attributes, elements, and conversions of them."""
    nodes = list(ast.walk(node))
    return all(isinstance(each, _PLAIN) for each in nodes) and all(
        _reads(each) for each in nodes if isinstance(each, ast.Call)
    )


def _reads(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id in _CONVERSIONS
    return isinstance(call.func, ast.Attribute) and call.func.attr in _READERS


def names(node: ast.AST) -> set[str]:
    """Return the names that an expression reads, `int` and the like of its conversions aside."""
    called = {id(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}
    found = (each for each in ast.walk(node) if isinstance(each, ast.Name))
    return {each.id for each in found if id(each) not in called or each.id not in _CONVERSIONS}
