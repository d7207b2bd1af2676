"""The header of a loop that can announce statements: what is wrapped, and its names in terms of one element.

If this is wrong, a lambda takes another part of the row than the loop does, and its values never match.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...audit.model.code import Loop
from ...audit.model.project import Project
from ...audit.model.values import Cursor
from .terms import Unknown, constant, stored

NAME = "prefetched"
_ELEMENTS = ("row", "each", "item", "element")
_LAZY = ("groupby", "map", "filter", "iter", "imap", "ifilter")
_FRAMES = ("iterrows", "itertuples")
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Head:
    """A loop's header.

    Attributes:
        rows: What `prefetched` goes around.
        parameter: What the lambdas call one element.
        elements: The loop's names, said with the parameter.
        inside: The node that the loop's names are known within.
    """

    loop: Loop
    rows: ast.expr
    parameter: str
    inside: ast.AST
    elements: dict[str, ast.expr] = field(default_factory=dict)


def is_announced(loop: Loop) -> bool:
    """Whether a loop is over `prefetched(...)` already."""
    return any(
        isinstance(each, ast.Call) and getattr(each.func, "attr", getattr(each.func, "id", "")) == NAME
        for each in ast.walk(loop.header)
    )


def head(project: Project, loop: Loop) -> Head:
    """Return a loop's header.

    Raises:
        Unknown: Nothing can be announced there.
    """
    node = loop.node
    if is_announced(loop):
        raise Unknown("the loop announces its statements already; what is left of them cannot be announced")
    if isinstance(node, ast.While):
        raise Unknown("a `while` loop has no rows that could be looked at before the first turn")
    if isinstance(node, ast.Call):
        raise Unknown("`map` has no loop whose rows could announce the statement; write it as a comprehension")
    if isinstance(node, ast.AsyncFor) or getattr(node, "is_async", False):
        raise Unknown("the loop is asynchronous")
    if any(isinstance(each, ast.JoinedStr) for each in loop.function.module.ancestors(loop.header)):
        raise Unknown("the loop stands in an f-string")
    _refuse_rows(project, loop)
    inside = node if isinstance(node, ast.For) else loop.function.module.parents[node]
    rows, target = loop.header, node.target
    if _is_counted(rows, target):
        assert isinstance(rows, ast.Call) and isinstance(target, ast.Tuple)
        rows, target = rows.args[0], target.elts[1]
    if isinstance(target, ast.Name):
        return Head(loop, rows, target.id, inside, {target.id: ast.Name(id=target.id, ctx=ast.Load())})
    parameter = _free_name(loop)
    elements: dict[str, ast.expr] = {}
    _spread(target, ast.Name(id=parameter, ctx=ast.Load()), elements)
    return Head(loop, rows, parameter, inside, elements)


def _refuse_rows(project: Project, loop: Loop) -> None:
    called = [each for each in ast.walk(loop.header) if isinstance(each, ast.Call)]
    if any(getattr(each.func, "attr", "") in _FRAMES for each in called):
        raise Unknown("the rows are those of a DataFrame")
    names = {getattr(each.func, "attr", getattr(each.func, "id", "")) for each in called}
    if names & set(_LAZY) or any(isinstance(each, ast.GeneratorExp) for each in ast.walk(loop.header)):
        raise Unknown("the rows are made one by one, between the turns; looking ahead would change what they are")
    runs = [callee for call in loop.function.calls if call.node in called for callee in call.callees]
    if any(each.is_generator for each in runs):
        raise Unknown("the rows come from a generator, which runs between the turns")
    if any(isinstance(value, Cursor) for value in loop.source) and _executes_on(project, loop):
        raise Unknown("the loop reads from the cursor that it executes on")


def _executes_on(project: Project, loop: Loop) -> bool:
    """Whether something in a loop executes on the cursor that the loop is over."""
    cursors = {value for value in loop.source if isinstance(value, Cursor)}
    inside = [call for call in loop.function.calls if loop in call.loops]
    behind = [each for call in inside for each in project.reach.behind(call, "execute", "executemany")]
    return any(cursors & each.receiver for each in behind)


def _is_counted(rows: ast.expr, target: ast.expr) -> bool:
    return (
        isinstance(rows, ast.Call) and getattr(rows.func, "id", "") == "enumerate" and bool(rows.args)
        and not isinstance(rows.args[0], ast.Starred) and isinstance(target, ast.Tuple) and len(target.elts) == 2
    )  # fmt: skip


def _free_name(loop: Loop) -> str:
    """Return a name for one element that the function does not use."""
    used = {each.id for each in ast.walk(loop.function.node) if isinstance(each, ast.Name)}
    used |= set(loop.function.parameters)
    return next((name for name in _ELEMENTS if name not in used), "element_")


def _spread(target: ast.expr, value: ast.expr, into: dict[str, ast.expr]) -> None:
    """Say each name of a target as a part of a value."""
    if isinstance(target, ast.Name):
        into[target.id] = value
    elif isinstance(target, (ast.Tuple, ast.List)):
        for index, each in enumerate(_plain(target.elts)):
            _spread(each, ast.Subscript(value=value, slice=constant(index), ctx=ast.Load()), into)
    else:
        raise Unknown(f"`{ast.unparse(target)}` is no plain name")


def _plain(targets: Sequence[ast.expr]) -> Sequence[ast.expr]:
    """Return the targets before the first starred one."""
    stars = [index for index, each in enumerate(targets) if isinstance(each, ast.Starred)]
    return targets[: stars[0]] if stars else targets


def kept_names(inside: ast.AST, loop: Loop) -> set[str]:
    """Return the names that stay the same while one `for` of a comprehension runs: those of the ones before."""
    found: set[str] = set()
    if isinstance(inside, _COMPREHENSIONS):
        for each in inside.generators:
            if each is loop.node:
                break
            found.update(stored(each.target))
    return found
