"""Names for expressions, `conn`, `self.conn`, `pair[0]`, so that two places that mean the same thing can be"
" told."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..model.code import Function

CONTEXTS = ("g", "_app_ctx_stack", "_request_ctx_stack", "request", "app_ctx", "ctx")


def name_of(node: ast.AST | None) -> str:
    """Return an expression's name; "" for what is no chain of names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = name_of(node.value)
        return inner and f"{inner}.{node.attr}"
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        inner = name_of(node.value)
        return inner and f"{inner}[{node.slice.value!r}]"
    if isinstance(node, (ast.Await, ast.NamedExpr)):
        return name_of(node.value)
    return ""


def root_of(name: str) -> str:
    """Return the first name of a chain."""
    return name.partition(".")[0].partition("[")[0]


def is_of_request(name: str) -> bool:
    """Whether a name is kept for the length of a request, as `g.db`."""
    return name != root_of(name) and (root_of(name) in CONTEXTS or name.startswith(("flask.g.", "flask.request.")))


def title_of(function: Function) -> str:
    """Return what people call a function: the class for its constructor, the class and the name for a method."""
    if function.cls is None:
        return function.name
    return function.cls.node.name if function.name == "__init__" else f"{function.cls.node.name}.{function.name}"


def walk_own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs with a node: everything below it, the bodies of inner functions and classes aside."""
    todo = [node]
    while todo:
        each = todo.pop()
        yield each
        if each is node or not isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            todo.extend(reversed(list(ast.iter_child_nodes(each))))
