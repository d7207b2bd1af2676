"""What the result of an acquisition goes into: names of the function, or something that uses it up at once.

Knows the statement around a call. If this is wrong, lifetimes follow the wrong name.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..model.code import Call, Function
from ..model.values import Connection, Instance
from .connection_acts import CLOSING, PLAIN_POOLS
from .expression_names import name_of

if TYPE_CHECKING:
    from ..model.project import Project

CLOSED_BY_WITH = ("psycopg",)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a connection in the function that acquires it.

    Attributes:
        kind: "closed"; "leaks"; "returned" to the caller; "kept" on the object, whose method closes it; "request"
            and "process" say for how long it is kept; "unknown".
        why: Of a leak, the end of the sentence "the connection ...".
        index: Of a returned one, where in the returned tuple it is.
    """

    kind: str
    why: str = ""
    index: int | None = None


@dataclass(frozen=True)
class Binding:
    """What the result of an acquisition goes into: names, or how it is used up at once."""

    names: tuple[str, ...] = ()
    used: str = ""


def binding_of(project: Project, call: Call, helper: Verdict | None) -> Binding:
    """Return what the result of a call goes into."""
    parents = call.function.module.parents
    node: ast.AST = call.node
    parent = parents.get(node)
    while isinstance(parent, (ast.Await, ast.BoolOp, ast.IfExp, ast.NamedExpr)):
        if isinstance(parent, ast.NamedExpr):
            return Binding((name_of(parent.target),))
        node, parent = parent, parents.get(parent)
    if helper and helper.kind == "kept" and not _is_constructor(call):
        owner = call.node.func if isinstance(call.node, ast.Call) else call.node
        name = name_of(owner.value) if isinstance(owner, ast.Attribute) else ""
        return Binding((name,)) if name else Binding(used="unknown")
    if isinstance(parent, (ast.Assign, ast.AnnAssign)):
        targets: list[ast.expr] = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
        return _assigned(targets, helper.index if helper else None)
    if isinstance(parent, ast.withitem):
        return _entered(call, parent, helper)
    return _consumed(project, call, node, parent)


def _entered(call: Call, item: ast.withitem, helper: Verdict | None) -> Binding:
    drivers = {value.driver for value in call.result if isinstance(value, Connection)}
    pools = {value.pool for value in call.result if isinstance(value, Connection)}
    managed = call.does == "getconn" and not all(pool.startswith(PLAIN_POOLS[0]) or not pool for pool in pools)
    is_object = helper is not None and helper.kind == "kept"
    if managed or is_object or drivers & set(CLOSED_BY_WITH):
        return Binding(used="closed")
    return _assigned([item.optional_vars], None) if item.optional_vars else Binding(used="leaks")


def _consumed(project: Project, call: Call, node: ast.AST, parent: ast.AST | None) -> Binding:
    if isinstance(parent, (ast.Return, ast.Lambda)):
        return Binding(used="returned")
    if isinstance(parent, ast.Tuple) and isinstance(call.function.module.parents.get(parent), ast.Return):
        return Binding(used="returned")
    if isinstance(parent, ast.Call) and parent.func is not node:
        return Binding(used=_passed_on(project, call.function, parent))
    if isinstance(parent, (ast.Attribute, ast.Expr, ast.Subscript)):
        return Binding(used="leaks")
    return Binding(used="unknown")


def _passed_on(project: Project, function: Function, taker: ast.Call) -> str:
    """Return what becomes of a connection that nothing but a called function gets."""
    if name_of(taker.func).rpartition(".")[2] in ("closing", "aclosing"):
        return "closed"
    calls = [call for call in function.calls if call.node is taker]
    if any(call.does in ("execute", "cursor") for call in calls):
        return "leaks"
    callees = [callee for call in calls for callee in call.callees]
    keeps = any(callee.name == "__init__" or project.reach.calls(callee, *CLOSING) for callee in callees)
    makes = any(isinstance(value, (Instance, Connection)) for call in calls for value in call.result)
    return "leaks" if callees and not keeps and not makes else "unknown"


def _is_constructor(call: Call) -> bool:
    return any(callee.name in ("__init__", "__new__") for callee in call.callees)


def returned_index(call: Call) -> int | None:
    """Return where in a returned tuple a call stands; None when it is returned by itself."""
    parent = call.function.module.parents.get(call.node)
    return parent.elts.index(call.node) if isinstance(parent, ast.Tuple) and call.node in parent.elts else None


def _assigned(targets: list[ast.expr], index: int | None) -> Binding:
    """Return the names that targets have for a connection, or for the tuple that it is in."""
    names: list[str] = []
    for target in targets:
        if isinstance(target, (ast.Tuple, ast.List)):
            if index is not None and index < len(target.elts):
                names.append(name_of(target.elts[index]))
        else:
            names.append(name_of(target))
            if index is not None:
                names.append(f"{name_of(target)}[{index}]")
    return Binding(tuple(name for name in names if name)) if any(names) else Binding(used="unknown")
