"""A text that is put together, as its pieces: f"...", "a" + b, "... %s" % (a, b), "... {}".format(a).

So a DSN can be read although it is made of constants and variables.
"""

from __future__ import annotations

import ast
import re


def pieces_of(node: ast.expr) -> list[ast.expr]:
    """Return the pieces in their order; none for what is no such text."""
    if isinstance(node, ast.JoinedStr):
        return [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [node.left, node.right]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        given = list(node.right.elts) if isinstance(node.right, ast.Tuple) else [node.right]
        return _filled(node.left, r"%[sd]", given)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _filled(node.func.value, r"\{\d*\}", list(node.args)) or _named(node.func.value, node.keywords)
    return []


def _filled(template: ast.expr, pattern: str, given: list[ast.expr]) -> list[ast.expr]:
    texts = _split(template, pattern)
    if len(texts) != len(given) + 1 or not given:
        return []
    pieces: list[ast.expr] = [texts[0]]
    for value, text in zip(given, texts[1:], strict=True):
        pieces += [value, text]
    return pieces


def _named(template: ast.expr, keywords: list[ast.keyword]) -> list[ast.expr]:
    if not isinstance(template, ast.Constant) or not isinstance(template.value, str):
        return []
    values = {keyword.arg: keyword.value for keyword in keywords}
    names = re.findall(r"\{(\w+)\}", template.value)
    if not names or not all(name in values for name in names):
        return []
    return _filled(template, r"\{\w+\}", [values[name] for name in names])


def _split(template: ast.expr, pattern: str) -> list[ast.Constant]:
    if not isinstance(template, ast.Constant) or not isinstance(template.value, str):
        return []
    return [ast.copy_location(ast.Constant(text), template) for text in re.split(pattern, template.value)]
