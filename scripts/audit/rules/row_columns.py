"""Which columns of its rows a function reads: `row["name"]`, `row.name`, `row[3]`, in loops and comprehensions.

Looks at the syntax of one function, and gives up where a row goes anywhere as a whole: returned, passed on, made
into a dict, unpacked. If it is wrong, a column is called unused that a template shows.
"""

from __future__ import annotations

import ast

from ..model.code import Call
from .row_uses import Parents, called, is_test, reads

Columns = frozenset[str]
NONE: Columns = frozenset()


def columns_read(call: Call, names: list[str], *, is_list: bool) -> Columns | None:
    """Return the columns that are read of what a call returns; None when a row is needed as a whole.

    Args:
        names: the columns of `SELECT *`, in order.
        is_list: whether the call returns a list of rows, else one row.
    """
    parents = call.function.module.parents
    parent = parents.get(call.node)
    if isinstance(parent, ast.Assign):
        target = parent.targets[0]
        if parent.value is not call.node or len(parent.targets) > 1 or not isinstance(target, ast.Name):
            return None
        uses: list[ast.expr] = [*reads(call.function.node, target.id)]
    else:
        uses = [call.node]
    read = _of_rows if is_list else _of_row
    return _joined([read(node, parents, names) for node in uses]) if uses else None


def _joined(found: list[Columns | None]) -> Columns | None:
    known = [each for each in found if each is not None]
    return NONE.union(*known) if len(known) == len(found) else None


def _of_rows(node: ast.expr, parents: Parents, names: list[str]) -> Columns | None:
    parent = parents.get(node)
    if is_test(node, parents) or (isinstance(parent, ast.Call) and called(parent) == "len"):
        return NONE
    if isinstance(parent, ast.For) and parent.iter is node:
        return _of_each(parent.target, list(parent.body), parents, names)
    if isinstance(parent, ast.comprehension) and parent.iter is node:
        made = parents[parent]
        return _of_each(parent.target, [made], parents, names)
    if isinstance(parent, ast.Subscript) and parent.value is node and isinstance(parent.slice, ast.Constant):
        return _of_row(parent, parents, names) if isinstance(parent.slice.value, int) else None
    return None


def _of_each(target: ast.expr, inside: list[ast.AST], parents: Parents, names: list[str]) -> Columns | None:
    """Return what is read of a loop's variable."""
    if not isinstance(target, ast.Name):
        return None
    found: list[Columns | None] = []
    for part in inside:
        for node in ast.walk(part):
            if isinstance(node, ast.Name) and node.id == target.id and node is not target:
                found.append(_of_row(node, parents, names) if isinstance(node.ctx, ast.Load) else None)
    return _joined(found)


def _of_row(node: ast.expr, parents: Parents, names: list[str]) -> Columns | None:
    parent = parents.get(node)
    if is_test(node, parents) or _is_against_none(node, parent):
        return NONE
    if isinstance(parent, ast.Subscript) and parent.value is node and isinstance(parent.ctx, ast.Load):
        return _named(parent.slice, names)
    if isinstance(parent, ast.Attribute) and parent.value is node and isinstance(parent.ctx, ast.Load):
        around = parents.get(parent)
        if isinstance(around, ast.Call) and around.func is parent:
            return _named(around.args[0], names) if parent.attr == "get" and around.args else None
        return frozenset({parent.attr}) if parent.attr in names else None
    return None


def _is_against_none(node: ast.expr, parent: ast.AST | None) -> bool:
    return (
        isinstance(parent, ast.Compare)
        and parent.left is node
        and all(isinstance(each, ast.Constant) and each.value is None for each in parent.comparators)
    )


def _named(key: ast.expr, names: list[str]) -> Columns | None:
    """Return the column that a key picks; None for what is no constant, or no column."""
    value = key.value if isinstance(key, ast.Constant) else None
    if isinstance(value, str) and value in names:
        return frozenset({value})
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return frozenset({names[value]})
    return None
