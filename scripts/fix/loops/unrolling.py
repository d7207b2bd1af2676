"""A comprehension over values that stand there, turn by turn: `[f"{key} = %s" for key in columns]`.

If this is wrong, a statement is announced with another text or other values, and asked for in vain.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .terms import Frame, Unknown, stored

if TYPE_CHECKING:
    from .reader import Reader

VIEWS = ("keys", "values", "items")


def unrolled(reader: Reader, node: ast.ListComp | ast.GeneratorExp, frame: Frame) -> ast.List:
    """Return the list that a comprehension makes.

    Raises:
        Unknown: It is over something that does not stand there, or leaves some out.
    """
    loop = node.generators[0]
    if frame is reader.root or len(node.generators) > 1 or loop.ifs or loop.is_async:
        raise Unknown(f"`{ast.unparse(node)[:40]}` is worked out in {frame.function.name}()")
    made: list[ast.expr] = []
    for value in _values(reader, loop.iter, frame):
        bound = {**frame.bound, **_bound(loop.target, value)}
        inner = Frame(frame.function, frame.given, frame.outer, bound)
        made.append(reader.expression(node.elt, inner))
    return ast.List(elts=made, ctx=ast.Load())


def displayed(reader: Reader, node: ast.expr, frame: Frame) -> ast.List:
    """Return `columns.values()`, `.keys()` or `.items()` of a dict that stands there.

    Raises:
        Unknown: It does not stand there.
    """
    return ast.List(elts=_values(reader, node, frame), ctx=ast.Load())


def _values(reader: Reader, node: ast.expr, frame: Frame) -> list[ast.expr]:
    view = ""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VIEWS:
        view, node = node.func.attr, node.func.value
    found = reader.expression(node, frame)
    if isinstance(found, (ast.Tuple, ast.List)) and not view:
        return found.elts
    if not isinstance(found, ast.Dict) or None in found.keys:
        raise Unknown(f"`{ast.unparse(node)}` may be any number of values")
    keys = [each for each in found.keys if each is not None]
    if view == "values":
        return found.values
    if view == "items":
        pairs = zip(keys, found.values, strict=True)
        return [ast.Tuple(elts=[key, value], ctx=ast.Load()) for key, value in pairs]
    return keys


def _bound(target: ast.expr, value: ast.expr) -> dict[str, ast.expr]:
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        found: dict[str, ast.expr] = {}
        for inner, part in zip(target.elts, value.elts, strict=True):
            found |= _bound(inner, part)
        return found
    raise Unknown(f"`{', '.join(stored(target))}` cannot be told apart")
