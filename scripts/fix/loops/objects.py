"""What an attribute of an object is: what its constructor or its class sets it to, or what a property returns.

If this is wrong, a value of another attribute is announced, and asked for in vain.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ...audit.model.code import Class, Function, Module
from .arguments import has_decorator
from .terms import Frame, Object, Term, Unknown, constant

if TYPE_CHECKING:
    from .reader import Reader


def attribute_of(reader: Reader, owner: Object, name: str, frame: Frame) -> Term:
    """Return an attribute of an object in the loop's terms.

    Raises:
        Unknown: It cannot be said there.
    """
    method = owner.cls.method(name)
    if method is not None:
        if not has_decorator(method, "property", "cached_property"):
            raise Unknown(f"`{name}` is a method")
        return reader.returned(method, Frame(method, {"self": owner}, frame))
    try:
        return _set(reader, owner, name, frame)
    except Unknown:
        if owner.said is None:
            raise
        return ast.Attribute(value=owner.said, attr=name, ctx=ast.Load())


def _set(reader: Reader, owner: Object, name: str, frame: Frame) -> Term:
    """Return what an object's attribute is by its constructor, or its class."""
    stores = _stores(owner.cls, name)
    if len(stores) == 1 and stores[0][0].name == "__init__":
        return reader.term(stores[0][1], _maker(reader, owner, stores[0][0], frame))
    found = reader.constants.own(owner.cls, name) if not stores else None
    if found is None:
        raise Unknown(f"`self.{name}` of {owner.cls.qualname} is not set once, by its constructor")
    return reader.constant(found, name, frame)


def _maker(reader: Reader, owner: Object, maker: Function, frame: Frame) -> Frame:
    """Return the frame of the constructor that sets an attribute: the class's, or the one that it calls."""
    first = owner.cls.method("__init__")
    made = owner.made
    if made is None and first is not None:
        made = Frame(first, {"self": owner}, frame)
    if made is None or made.function is maker:
        return made or Frame(maker, {}, frame)
    inner = next((each for each in made.function.calls if maker in each.callees), None)
    return reader.entered(inner, maker, made) if inner is not None else Frame(maker, {}, frame)


def _stores(cls: Class, name: str) -> list[tuple[Function, ast.expr]]:
    """Return what a class's methods give to `self.name`, and where; no plain assignment counts twice."""
    found: list[tuple[Function, ast.expr]] = []
    for each in cls.lineage:
        for method in each.methods.values():
            for node in ast.walk(method.node):
                if _is_own(node, name):
                    value = _assigned_to(method.module, node)
                    found += [(method, value)] if value is not None else [(method, constant(None))] * 2
    return found


def _is_own(node: ast.AST, name: str) -> bool:
    return (
        isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name) and node.value.id == "self"
    )  # fmt: skip


def _assigned_to(module: Module, node: ast.AST) -> ast.expr | None:
    """Return what a plain assignment gives to an attribute."""
    parent = module.parents[node]
    place = None
    if isinstance(parent, ast.Tuple):
        places = [index for index, each in enumerate(parent.elts) if each is node]
        place, parent = places[0], module.parents[parent]
    value = getattr(parent, "value", None)
    if not isinstance(parent, (ast.Assign, ast.AnnAssign)) or not isinstance(value, ast.expr):
        return None
    if place is None:
        return value
    if isinstance(value, ast.Tuple) and len(value.elts) > place:
        return value.elts[place]
    return ast.Subscript(value=value, slice=constant(place), ctx=ast.Load())
