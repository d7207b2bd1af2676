"""A text that is kept in a variable until it is executed: whether that is its only use, with the same values.

Looks at one function, in straight lines: a variable that is set in one branch and used behind it is refused. If
this is wrong, a text with placeholders is used where nobody gives the values.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from ...audit.model.code import Module, Scope
from ..layout import block_of
from .literals import Unreadable, Value
from .purity import is_pure, names

_CHANGES = ("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "reverse",
            "setdefault", "sort", "update")  # fmt: skip
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def assignment(module: Module, scope: Scope, load: ast.Name) -> ast.Assign:
    """Return the assignment that a name's value comes from.

    Raises:
        Unreadable: It is set in several ways, or used elsewhere.
    """
    uses = [each for each in _within(scope) if isinstance(each, ast.Name) and each.id == load.id]
    stores = [_assigned(module, each) for each in uses if not isinstance(each.ctx, ast.Load)]
    if _is_named_inside(scope, load.id):
        raise Unreadable(f"`{load.id}` is used by a function inside of this one")
    owners = {each: _owner(module, stores, each) for each in uses if isinstance(each.ctx, ast.Load)}
    owner = owners[load]
    if sum(each is owner for each in owners.values()) > 1:
        raise Unreadable(f"`{load.id}` is used elsewhere as well")
    return owner


def _within(scope: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, _SCOPES):
            yield child
            yield from _within(child)


def _is_named_inside(scope: ast.AST, name: str) -> bool:
    inner = (each for each in ast.walk(scope) if each is not scope and isinstance(each, _SCOPES))
    own = set(map(id, _within(scope)))
    shared = any(isinstance(each, (ast.Global, ast.Nonlocal)) and name in each.names for each in ast.walk(scope))
    return shared or any(
        isinstance(each, ast.Name) and each.id == name and id(each) not in own
        for node in inner for each in ast.walk(node) if isinstance(scope, ast.Module) or node is not scope
    )  # fmt: skip


def _assigned(module: Module, node: ast.Name) -> ast.Assign:
    statement = module.statement(node)
    if isinstance(statement, ast.Assign) and statement.targets == [node]:
        return statement
    raise Unreadable(f"`{node.id}` is put together in several steps")


def _owner(module: Module, stores: Iterable[ast.Assign], load: ast.Name) -> ast.Assign:
    before = [each for each in stores if _end(each) <= _start(load)]
    nearest = max(before, key=_end, default=None)
    if nearest is None or not _is_behind(module, nearest, load):
        raise Unreadable(f"`{load.id}` is set in another branch or function")
    return nearest


def _is_behind(module: Module, store: ast.stmt, load: ast.AST) -> bool:
    block = block_of(module, store)
    around = {id(each) for each in module.ancestors(load)}
    return any(id(each) in around for each in list(block)[list(block).index(store) + 1 :])


def _start(node: ast.AST) -> tuple[int, int]:
    return node.lineno, node.col_offset  # type: ignore[attr-defined]


def _end(node: ast.AST) -> tuple[int, int]:
    return node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]


def check_same(module: Module, store: ast.Assign, call: ast.Call, values: Iterable[Value]) -> None:
    """See that values are the same when the text is executed as when it was made.

    Raises:
        Unreadable: They may not be.
    """
    block = list(block_of(module, store))
    around = {id(each) for each in module.ancestors(call)}
    last = next(index for index, each in enumerate(block) if id(each) in around)
    between = block[block.index(store) + 1 : last + 1]
    own = {id(each) for each in ast.walk(call)}
    for value in values:
        if not is_pure(value.node):
            raise Unreadable(f"`{value.text}` would be called later than before")
        for node in (each for statement in between for each in ast.walk(statement) if id(each) not in own):
            if isinstance(node, ast.Name) and node.id in names(value.node) and _may_change(module, node, value):
                raise Unreadable(f"`{node.id}` may be another value when the statement runs")


def _may_change(module: Module, node: ast.Name, value: Value) -> bool:
    if not isinstance(node.ctx, ast.Load):
        return True
    parent = module.parents[node]
    if isinstance(value.node, ast.Name):
        return isinstance(parent, ast.Attribute) and parent.attr in _CHANGES
    if isinstance(parent, (ast.Attribute, ast.Subscript)):
        above = module.parents[parent]
        is_called = isinstance(above, ast.Call) and above.func is parent and isinstance(parent, ast.Attribute)
        return not isinstance(parent.ctx, ast.Load) or (is_called and getattr(parent, "attr", "") != "get")
    return isinstance(parent, (ast.Call, ast.keyword)) and not isinstance(value.node, ast.Name)
