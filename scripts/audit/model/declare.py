"""Finds the functions and classes of a module, however deep they are nested."""

from __future__ import annotations

import ast

from .code import MODULE, Class, Function, Module, Scope

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def declare(module: Module) -> None:
    """Fill a module's functions and classes, in the order of the source; its own code is the first function."""
    body = Function(module, module.tree, MODULE)
    module.functions.append(body)
    todo: list[tuple[ast.AST, Function, Class | None, str]] = [(module.tree, body, None, "")]
    while todo:  # with a list: code may be nested deeper than Python's stack
        node, function, cls, prefix = todo.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FUNCTIONS):
                made = _function(module, child, function, cls, prefix)
                todo.append((child, made, None, f"{made.qualname}."))
            elif isinstance(child, ast.ClassDef):
                inner = Class(module, child, f"{prefix}{child.name}")
                module.classes.append(inner)
                todo.append((child, function, inner, f"{inner.qualname}."))
            else:
                _note(child, function)
                todo.append((child, function, cls, prefix))
    module.functions[1:] = sorted(module.functions[1:], key=lambda each: (_line(each), each.qualname))
    module.classes.sort(key=lambda each: each.node.lineno)


def _line(function: Function) -> tuple[int, int]:
    return getattr(function.node, "lineno", 0), getattr(function.node, "col_offset", 0)


def _function(module: Module, node: Scope, parent: Function, cls: Class | None, prefix: str) -> Function:
    name = "<lambda>" if isinstance(node, ast.Lambda) else getattr(node, "name", MODULE)
    made = Function(module, node, f"{prefix}{name}", cls, parent, _parameters(node))
    module.functions.append(made)
    if cls is not None and not isinstance(node, ast.Lambda):
        cls.methods[name] = made  # the last one counts, as in Python
    return made


def _parameters(node: Scope) -> tuple[str, ...]:
    if isinstance(node, ast.Module):
        return ()
    spec = node.args
    names = [*spec.posonlyargs, *spec.args]
    names += [spec.vararg] if spec.vararg else []
    names += spec.kwonlyargs
    names += [spec.kwarg] if spec.kwarg else []
    return tuple(each.arg for each in names)


def _note(node: ast.AST, function: Function) -> None:
    """Keep what decides how a function is run and what its names mean."""
    if isinstance(node, (ast.Yield, ast.YieldFrom)):
        function.is_generator = True
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        function.globals.update(node.names)
    elif isinstance(node, ast.Name):
        function.module.mentions.add(node.id)
    elif isinstance(node, ast.Attribute):
        function.module.mentions.add(node.attr)
