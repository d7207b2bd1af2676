"""Whether a condition of a called function holds, by what the function is given.

What comes from a row is taken to be there (not None) and to be a single value, as the audit's branches have it.
If this is wrong, another branch's text is announced, which is asked for in vain at worst.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

_DISPLAYS = (ast.Tuple, ast.List, ast.Dict)
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
}  # fmt: skip
_TYPES = {"list": ast.List, "tuple": ast.Tuple, "dict": ast.Dict}


def decided(test: ast.expr) -> bool | None:
    """Return whether a condition holds; None when that depends on the row.

    Args:
        test: In the loop's terms.
    """
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Dict):
        return bool(test.keys)
    if isinstance(test, (ast.Tuple, ast.List)):
        return bool(test.elts)
    if isinstance(test, ast.BoolOp):
        ends = isinstance(test.op, ast.Or)
        sides = [decided(each) for each in test.values]
        return ends if ends in sides else None if None in sides else not ends
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _compared(test.left, test.ops[0], test.comparators[0])
    if isinstance(test, ast.Call) and getattr(test.func, "id", "") == "isinstance" and len(test.args) == 2:
        return _is_instance(test.args[0], test.args[1])
    return None


def _compared(left: ast.expr, how: ast.cmpop, right: ast.expr) -> bool | None:
    if isinstance(left, ast.Constant) and isinstance(right, ast.Constant) and type(how) in _COMPARED:
        try:
            return bool(_COMPARED[type(how)](left.value, right.value))
        except TypeError:
            return None
    is_none = isinstance(right, ast.Constant) and right.value is None
    if is_none and isinstance(how, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)):
        return isinstance(how, (ast.IsNot, ast.NotEq))
    return None


def _is_instance(value: ast.expr, kind: ast.expr) -> bool | None:
    names = [getattr(each, "id", "") for each in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]
    if not set(names) <= set(_TYPES):
        return None
    return isinstance(value, tuple(_TYPES[name] for name in names))
