"""URLs: which function answers which, and what its parameters get."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from . import facts
from .code import Class, Function, Route
from .values import ClassValue, Constant, Data, FunctionValue, Site, Values, constants, texts

if TYPE_CHECKING:
    from .flow import Frame

VARIABLE = re.compile(r"<(?:(?P<converter>[a-zA-Z_]\w*)(?:\([^)]*\))?:)?(?P<name>[a-zA-Z_]\w*)>")
NUMBERS = ("int", "float", "uuid")


def add(frame: Frame, function: Function, rule: str, methods: tuple[str, ...], node: ast.AST) -> None:
    """Let a function answer a URL; its variables go into the function's parameters."""
    if not any(route.rule == rule and route.methods == methods for route in function.routes):
        function.routes.append(Route(function, rule, methods, node))
    for match in VARIABLE.finditer(rule):
        shape = "number" if match["converter"] in NUMBERS else "value"
        site = Site(function.path, getattr(function.node, "lineno", 1), 0)
        frame.heap.add(("parameter", function, match["name"]), [Data("request", shape, site)])


def add_class(frame: Frame, cls: Class, rule: str, node: ast.AST) -> None:
    """Let the methods of a view class answer a URL."""
    for name in facts.VIEW_METHODS:
        method = cls.method(name)
        if method is not None:
            verb = "GET" if name == "dispatch_request" else name.upper()
            add(frame, method, rule, (verb,), node)


def add_values(frame: Frame, values: Values, rule: str, methods: tuple[str, ...], node: ast.AST) -> None:
    """Let whatever a view is answer a URL."""
    for value in values:
        if isinstance(value, FunctionValue):
            add(frame, value.function, rule, methods, node)
        elif isinstance(value, ClassValue):
            add_class(frame, value.cls, rule, node)


def rule_of(values: Values) -> str | None:
    """Return the URL that a first argument is; what is put together from other values shows as "{}"."""
    found = sorted(each.with_holes("{}") for each in texts(values))
    return found[0] if found else None


def methods_of(frame: Frame, name: str, values: Values) -> tuple[str, ...]:
    """Return the HTTP methods of `methods=[...]`, or what the decorator's name says."""
    if name != "route" and name in facts.ROUTED:
        return (name.upper(),)
    from .containers import elements

    found = {each.upper() for each in constants(elements(frame, values, None)) if isinstance(each, str)}
    return tuple(sorted(found)) or ("GET",)


def is_number(values: Values) -> bool:
    """Whether `type=int` or the like is among values."""
    return any(getattr(value, "name", "") in ("int", "float", "bool") for value in values) and not any(
        isinstance(value, Constant) for value in values
    )
