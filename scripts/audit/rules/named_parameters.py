"""Parameters that go into a statement's text while every caller gives a constant.

Safe today, open to the next caller. A parameter that is the whole statement is none of these.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..model.code import Call, Function
from ..model.project import STATEMENTS, Project
from ..model.values import Text, texts

Written = dict[tuple[int, int], set[str]]


@dataclass(frozen=True)
class Named:
    """A statement that names something by parameters of the function that builds it."""

    call: Call
    text: Text
    parameters: tuple[str, ...]


def named(project: Project, known: Iterable[Call]) -> Iterator[Named]:
    """Yield such statements once each, but those that are known already."""
    skipped = set(known)
    written: dict[Function, Written] = {}
    for call in project.calls(*STATEMENTS):
        if call in skipped:
            continue
        for text in texts(call.sql):
            parameters = _parameters(project, text, written)
            if parameters:
                yield Named(call, text, parameters)
                break


def _parameters(project: Project, text: Text, written: dict[Function, Written]) -> tuple[str, ...]:
    """Return the parameters of its function that a text without holes is put together from."""
    function = project.function_at(text.site) if text.site is not None and not text.holes else None
    own = _own(function) if function is not None else set()
    if function is None or text.site is None or not own:
        return ()
    if function not in written:
        written[function] = _written(function)
    return tuple(sorted(written[function].get((text.site.line, text.site.col), set()) & own))


def _written(function: Function) -> Written:
    """Return the names that each text of a function is put together from, by where it begins."""
    found: Written = {}
    for node in ast.walk(function.node):
        if isinstance(node, (ast.JoinedStr, ast.BinOp, ast.Call)):
            found.setdefault((node.lineno, node.col_offset), set()).update(_names(node))
    return found


def _own(function: Function) -> set[str]:
    return set(function.parameters[1:] if function.cls is not None else function.parameters)


def _names(node: ast.expr) -> set[str]:
    """Return the names that an expression puts into a text as they are."""
    if isinstance(node, ast.JoinedStr):
        parts = [each.value for each in node.values if isinstance(each, ast.FormattedValue)]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _names(node.left) | _names(node.right)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        parts = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
    else:
        parts = [] if isinstance(node, ast.Call) else [node]
    return {each.id for each in parts if isinstance(each, ast.Name)}
