"""Which names a loop's body may read from the turn before: a loop that carries nothing over is looked at once.

Errs on the side of "may": whatever is assigned in a branch counts as read before that. If this is wrong the other
way, texts that grow turn by turn are seen too short.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence


def carried(targets: Sequence[ast.AST], body: Sequence[ast.stmt]) -> frozenset[str]:
    """Return the names that are read in a loop's body before the body has surely assigned them.

    Args:
        targets: What is assigned at the start of each turn.
    """
    known = {name for target in targets for name in _assigned(target)}
    found: set[str] = set()
    todo = list(reversed(body))
    while todo:
        statement = todo.pop()
        if isinstance(statement, ast.Assign):
            found |= _read(statement) - known
            known.update(name for target in statement.targets for name in _assigned(target))
        elif isinstance(statement, (ast.With, ast.AsyncWith)):
            for item in statement.items:
                found |= _read(item) - known
                known.update(_assigned(item.optional_vars) if item.optional_vars is not None else ())
            todo.extend(reversed(statement.body))
        else:
            found |= _read(statement) - known
    return frozenset(found)


def _assigned(target: ast.AST) -> list[str]:
    parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
    return [part.id for part in parts if isinstance(part, ast.Name)]


def _read(node: ast.AST) -> set[str]:
    found: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            found.add(each.id)
        elif isinstance(each, ast.AugAssign) and isinstance(each.target, ast.Name):
            found.add(each.target.id)
    return found
