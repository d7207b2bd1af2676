"""What a name of a function was last given before a place, when that is one plain assignment.

Only what stands before the place in its own block or in those around it is looked at; a branch or a loop that may
have given the name something else makes it unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ...audit.model.code import Module
from .terms import Unknown, constant, stored

Decide = Callable[[ast.expr], bool | None]
_BLOCKS = ("body", "orelse", "finalbody", "handlers")
_SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Assigned:
    """An assignment: its value, and the statement that it stands in."""

    value: ast.expr
    statement: ast.stmt


def _open(test: ast.expr) -> bool | None:
    return None


def assigned_before(
    module: Module, use: ast.AST, name: str, stop: ast.AST | None = None, decide: Decide = _open
) -> Assigned | None:
    """Return the assignment that a name has its value from; None when there is none up to `stop`.

    Args:
        stop: The loop to stay in; the whole function without one.
        decide: Says whether a condition holds, None when that is open.

    Raises:
        Unknown: It may have its value from several places.
    """
    node = use
    for parent in module.ancestors(use):
        found = _in_blocks(parent, node, name, decide)
        if found is not None:
            return found
        if parent is stop or isinstance(parent, _SCOPES):
            return None
        _refuse(parent, node, name)
        node = parent
    return None


def _in_blocks(parent: ast.AST, node: ast.AST, name: str, decide: Decide) -> Assigned | None:
    for block in blocks(parent):
        if node in block:
            return _last(block[: block.index(node)], name, decide)
    return None


def _last(block: Sequence[ast.AST], name: str, decide: Decide) -> Assigned | None:
    """Return the last assignment of a name in statements that all run."""
    for each in reversed(block):
        if name not in stored(each):
            continue
        holds = decide(each.test) if isinstance(each, ast.If) else None
        if not isinstance(each, ast.If) or holds is None:
            return _assigned(each, name)
        found = _last(each.body if holds else each.orelse, name, decide)
        if found is not None:
            return found
    return None


def blocks(node: ast.AST) -> Iterator[list[ast.AST]]:
    """Yield the blocks of a statement."""
    for field in _BLOCKS:
        block = getattr(node, field, None)
        if isinstance(block, list):
            yield block


def _assigned(statement: ast.AST, name: str) -> Assigned:
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return Assigned(statement.value, statement)
    if isinstance(statement, ast.AugAssign):
        return Assigned(ast.BinOp(left=statement.target, op=statement.op, right=statement.value), statement)
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            value = part(target, statement.value, name)
            if value is not None:
                return Assigned(value, statement)
    line = getattr(statement, "lineno", 0)
    raise Unknown(f"`{name}` gets its value in line {line}, which is no plain assignment")


def part(target: ast.expr, value: ast.expr, name: str) -> ast.expr | None:
    """Return what a name in a target gets from a value: all of it, or an element; None when it is not in it."""
    if isinstance(target, ast.Name):
        return value if target.id == name else None
    if not isinstance(target, (ast.Tuple, ast.List)) or any(isinstance(each, ast.Starred) for each in target.elts):
        return None
    is_display = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
    for index, each in enumerate(target.elts):
        inner = value.elts[index] if is_display else _element(value, index)  # type: ignore[attr-defined]
        found = part(each, inner, name)
        if found is not None:
            return found
    return None


def _element(value: ast.expr, index: int) -> ast.expr:
    return ast.Subscript(value=value, slice=constant(index), ctx=ast.Load())


def _refuse(parent: ast.AST, node: ast.AST, name: str) -> None:
    """Refuse a name that what is around the place may have given a value."""
    if isinstance(parent, (ast.For, ast.AsyncFor, ast.While, *_COMPREHENSIONS)) and name in stored(parent):
        raise Unknown(f"`{name}` changes in an inner loop")
    if isinstance(parent, (ast.With, ast.AsyncWith)) and any(name in stored(each) for each in parent.items):
        raise Unknown(f"`{name}` comes from a `with`")
    tried = parent.body if isinstance(parent, ast.Try) and node not in parent.body else []
    if any(name in stored(each) for each in tried):
        raise Unknown(f"`{name}` may have its value from a `try`")
    if isinstance(parent, ast.ExceptHandler) and parent.name == name:
        raise Unknown(f"`{name}` is an exception")
    test = getattr(parent, "test", None)
    if isinstance(test, ast.expr) and name in stored(test):
        raise Unknown(f"`{name}` gets its value in a condition")
