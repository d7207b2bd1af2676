"""What a call gives to the parameters of a function, by position, by name, by default and through `*args`.

If this is wrong, a statement's values are those of another parameter, and the announcement never matches.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ...audit.model.code import Call, Function
from ...audit.model.values import ClassValue, Instance
from .terms import Frame, Given, Object, Passed, Term, Unknown

if TYPE_CHECKING:
    from .reader import Reader


def arguments(reader: Reader, call: Call, frame: Frame) -> Passed:
    """Return what a call gives, the object of a method first.

    Args:
        frame: The function that the call is in.
    """
    node = call.node
    found = Passed()
    if isinstance(node, ast.Attribute):
        found.positional.append(_receiver(reader, call, node.value, frame))
        return found
    if not isinstance(node, ast.Call):
        return found
    if isinstance(node.func, ast.Attribute) and _is_bound(call):
        found.positional.append(_receiver(reader, call, node.func.value, frame))
    for each in node.args:
        if isinstance(each, ast.Starred):
            _spread(reader, each.value, frame, found)
        else:
            found.positional.append(_tried(reader, each, frame))
    for keyword in node.keywords:
        if keyword.arg is None:
            _spread(reader, keyword.value, frame, found)
        else:
            found.named[keyword.arg] = _tried(reader, keyword.value, frame)
    return found


def _is_bound(call: Call) -> bool:
    """Whether a call of `a.f()` gives `a` to the function."""
    callee = next((each for each in call.callees if each.cls is not None), None)
    if callee is None or callee.name == "__init__" or has_decorator(callee, "staticmethod"):
        return _is_super_call(call)
    is_by_class = any(isinstance(value, ClassValue) for value in call.receiver)
    return has_decorator(callee, "classmethod") or not is_by_class


def _is_super_call(call: Call) -> bool:
    func = getattr(call.node, "func", None)
    owner = func.value if isinstance(func, ast.Attribute) else None
    return isinstance(owner, ast.Call) and getattr(owner.func, "id", "") == "super"


def _receiver(reader: Reader, call: Call, node: ast.expr, frame: Frame) -> Term | Unknown:
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "super":
        return _one(frame.given.get("self"))
    found = _tried(reader, node, frame)
    made = {value.cls for value in call.receiver if isinstance(value, Instance)}
    if isinstance(found, Object) or len(made) != 1:
        return found
    return Object(made.pop(), said=found if isinstance(found, ast.expr) else None)


def _one(given: Given | None) -> Term | Unknown:
    return given if isinstance(given, (ast.expr, Object)) else Unknown("it is not known which object it is")


def _tried(reader: Reader, node: ast.expr, frame: Frame) -> Term | Unknown:
    try:
        return reader.term(node, frame)
    except Unknown as reason:
        return reason


def _spread(reader: Reader, node: ast.expr, frame: Frame, into: Passed) -> None:
    """Add what `*values` or `**values` brings.

    Raises:
        Unknown: It cannot be told.
    """
    held = frame.given.get(node.id) if isinstance(node, ast.Name) else None
    if isinstance(held, Passed):
        into.positional += held.positional
        into.named |= held.named
        return
    found = reader.expression(node, frame)
    if isinstance(found, (ast.Tuple, ast.List)):
        into.positional += found.elts
    elif isinstance(found, ast.Dict) and all(isinstance(each, ast.Constant) for each in found.keys):
        keys = [str(each.value) for each in found.keys if isinstance(each, ast.Constant)]
        into.named |= dict(zip(keys, found.values, strict=True))
    else:
        raise Unknown(f"`*{ast.unparse(node)}` may be anything")


def bind(reader: Reader, function: Function, passed: Passed, frame: Frame) -> dict[str, Given]:
    """Return a function's parameters with what they are given."""
    node = function.node
    if isinstance(node, ast.Module):
        return {}
    spec = node.args
    names = [each.arg for each in (*spec.posonlyargs, *spec.args)]
    found: dict[str, Given] = _defaults(reader, function, spec, frame)
    found.update(zip(names, passed.positional, strict=False))
    allowed = {*names, *(each.arg for each in spec.kwonlyargs)}
    found.update({name: value for name, value in passed.named.items() if name in allowed})
    if spec.vararg is not None:
        found[spec.vararg.arg] = Passed(passed.positional[len(names) :])
    if spec.kwarg is not None:
        found[spec.kwarg.arg] = Passed(
            [], {name: value for name, value in passed.named.items() if name not in allowed}
        )
    return found


def _defaults(reader: Reader, function: Function, spec: ast.arguments, frame: Frame) -> dict[str, Given]:
    outside = Frame(function.module.body, {}, frame)
    positional = [*spec.posonlyargs, *spec.args]
    pairs = list(zip(reversed(positional), reversed(spec.defaults), strict=False))
    named = zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
    pairs += [(each, value) for each, value in named if value is not None]
    return {each.arg: _tried(reader, value, outside) for each, value in pairs}


def has_decorator(function: Function, *names: str) -> bool:
    """Whether a function has one of these decorators."""
    decorators = getattr(function.node, "decorator_list", [])
    return any(getattr(each, "attr", getattr(each, "id", "")) in names for each in decorators)
