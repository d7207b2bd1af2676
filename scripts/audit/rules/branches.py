"""Whether one call of a function can get to a place in it, by the branches on its parameters.

`def __init__(self, form=None, row=None)` does one thing with a form and another with a row; a call that gives a
row never gets to the other. Only conditions on a parameter alone are decided; all else is taken to be possible.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ..model.code import Call, Function
from ..model.values import NOTHING, Data, Values

UNKNOWN = object()  # something is given, and it is not None
ROW = object()  # a row of a query: neither a number nor a string
PLAIN = ("int", "str", "float", "bytes", "bool")
Given = Mapping[str, object]
NOTHING_GIVEN: Given = {}


def is_open(function: Function, node: ast.expr, given: Given) -> bool:
    """Whether an expression of a function can be got to with these parameters."""
    inner: ast.AST = node
    for parent in function.module.ancestors(node) if given else ():
        if isinstance(parent, ast.If) and inner is not parent.test:
            decided = _decide(parent.test, given)
            if decided is not None and decided is not (inner in parent.body):
                return False
        if _is_left_before(parent, inner, given):
            return False
        if parent is function.node:
            break
        inner = parent
    return True


def _is_left_before(parent: ast.AST, inner: ast.AST, given: Given) -> bool:
    """Whether a block is left before one of its statements: `if not deep: return`."""
    body = getattr(parent, "body", None)
    if not isinstance(body, list) or inner not in body:
        return False
    earlier = [each for each in body[: body.index(inner)] if isinstance(each, ast.If)]
    leaving = [each for each in earlier if isinstance(each.body[-1], (ast.Return, ast.Raise))]
    return any(_decide(each.test, given) for each in leaving)


def bind(call: Call, function: Function, outer: Given = NOTHING_GIVEN) -> Given:
    """Return what a call gives to parameters: constants, ROW or UNKNOWN; nothing where it cannot be told.

    Args:
        outer: The parameters of the function that the call is in.
    """
    node, spec = call.node, function.node
    if not isinstance(node, ast.Call) or isinstance(spec, (ast.Module, ast.Lambda)):
        return NOTHING_GIVEN
    if any(isinstance(each, ast.Starred) for each in node.args) or any(each.arg is None for each in node.keywords):
        return NOTHING_GIVEN
    if spec.decorator_list or spec.args.vararg:
        return NOTHING_GIVEN
    names = [each.arg for each in (*spec.args.posonlyargs, *spec.args.args)]
    defaults = zip(reversed(names), reversed(spec.args.defaults), strict=False)
    found = {name: _constant(value) for name, value in defaults}
    plain = [
        _passed(each, call.arguments[index], outer) for index, each in enumerate(node.args[: len(call.arguments)])
    ]
    found.update(zip(names[1:] if function.cls is not None else names, plain, strict=False))
    for each in node.keywords:
        if each.arg:
            found[each.arg] = _passed(each.value, call.keywords.get(each.arg, NOTHING), outer)
    written = {
        each.id for each in ast.walk(spec) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    return {name: value for name, value in found.items() if name not in written}


def _passed(node: ast.expr, values: Values, outer: Given) -> object:
    if isinstance(node, ast.Name) and node.id in outer:
        return outer[node.id]
    if values and all(
        isinstance(value, Data) and (value.source, value.shape) == ("row", "row") for value in values
    ):
        return ROW
    return _constant(node)


def _constant(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else UNKNOWN


def _decide(test: ast.expr, given: Given) -> bool | None:
    """Return what a condition is; None when that depends on more than what is known."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _decide(test.operand, given)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        ends = isinstance(test.op, ast.Or)  # what one part alone decides
        sides = [_decide(each, given) for each in test.values]
        return ends if ends in sides else None if None in sides else not ends
    if (
        isinstance(test, ast.Call)
        and getattr(test.func, "id", "") == "isinstance"
        and isinstance(test.args[0], ast.Name)
    ):
        kind = getattr(test.args[1], "id", "") if len(test.args) > 1 else ""
        return False if given.get(test.args[0].id) is ROW and kind in PLAIN else None
    if isinstance(test, ast.Name) and given.get(test.id, UNKNOWN) not in (UNKNOWN, ROW):
        return bool(given[test.id])
    if (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id in given
        and len(test.ops) == 1
    ):
        return _compared(given[test.left.id], test.ops[0], test.comparators[0])
    return None


def _compared(value: object, operator: ast.cmpop, other: ast.expr) -> bool | None:
    if not isinstance(other, ast.Constant):
        return None
    if other.value is None and isinstance(operator, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)):
        return (value is None) is isinstance(operator, (ast.Is, ast.Eq))
    if value not in (UNKNOWN, ROW) and isinstance(operator, (ast.Eq, ast.NotEq)):
        return (value == other.value) is isinstance(operator, ast.Eq)
    return None
