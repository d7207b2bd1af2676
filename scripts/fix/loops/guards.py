"""The conditions of a loop under which a call in it is made, so that nothing is asked for the other rows.

Only conditions that the loop's header can say are kept; without one, rows are asked for that nobody wants.
"""

from __future__ import annotations

import ast

from ...audit.model.code import Call
from .heads import Head
from .reader import Reader
from .terms import Unknown

MOST = 2  # conditions; more would hide what the header says
LONGEST = 60  # characters of one


def guarded(reader: Reader, head: Head, start: Call, values: ast.expr) -> ast.expr:
    """Return values that are None for the rows whose turn does not get to a call."""
    found: list[ast.expr] = []
    for test in _tests(head, start):
        try:
            said = reader.expression(test, reader.root)
        except Unknown:
            continue
        if _names(said, head.parameter) and len(ast.unparse(said)) <= LONGEST:
            found.append(said)
    if not found or len(found) > MOST:
        return values
    test = found[0] if len(found) == 1 else ast.BoolOp(op=ast.And(), values=found)
    return ast.IfExp(test=test, body=values, orelse=ast.Constant(value=None))


def _tests(head: Head, start: Call) -> list[ast.expr]:
    """Return the conditions around a call, up to its loop, the outermost first."""
    found: list[ast.expr] = []
    node: ast.AST = start.node
    for parent in start.function.module.ancestors(start.node):
        if isinstance(parent, (ast.If, ast.IfExp)) and node is not parent.test:
            body = parent.body if isinstance(parent.body, list) else [parent.body]
            found.append(parent.test if node in body else ast.UnaryOp(op=ast.Not(), operand=parent.test))
        elif parent is head.inside and isinstance(head.loop.node, ast.comprehension):
            found += reversed(head.loop.node.ifs)
        if parent is head.inside:
            break
        node = parent
    return found[::-1]


def _names(node: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))
