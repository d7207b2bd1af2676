"""Branches and loops: what names hold where two ways meet, and under which conditions a loop is left."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable

from .values import Values

Names = dict[str, Values]


def joined(first: Names, second: Names) -> Names:
    """Return what names hold after one of two ways."""
    if first == second:
        return first
    found = dict(first)
    for name, values in second.items():
        found[name] = found[name] | values if name in found else values
    return found


def is_main(test: ast.expr) -> bool:
    """Whether a condition is `__name__ == "__main__"`."""
    return any(isinstance(each, ast.Name) and each.id == "__name__" for each in ast.walk(test))


def breaks(body: Iterable[ast.stmt]) -> list[ast.expr]:
    """Return the conditions under which a loop is left from inside."""
    return [
        each.test for statement in body for each in ast.walk(statement)
        if isinstance(each, ast.If) and any(isinstance(inner, (ast.Break, ast.Return)) for inner in each.body)
    ]  # fmt: skip


def is_builtin(name: str) -> bool:
    """Whether Python itself has a name."""
    return hasattr(builtins, name)
