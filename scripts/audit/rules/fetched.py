"""How the rows of a statement are taken: one, or all.

Looks at the fetches between an execute and the next one of the same function, in the order of the source, inside
helpers as well; where a helper only executes, at those of its caller. If it is wrong, a query of one row is taken
for a list.
"""

from __future__ import annotations

import ast

from ..model.code import Call
from ..model.project import STATEMENTS, Project

_ONE = ("fetchone", "fetchval", "scalar", "scalar_one", "scalar_one_or_none", "first", "one", "one_or_none")


def takes_one_row(project: Project, execute: Call, origin: Call) -> bool:
    """Whether only the first row of a statement is taken, wherever it is; `origin` is the call that brings it."""
    names = _fetches(project, execute) or _fetches(project, origin)
    return bool(names) and all(name in _ONE for name in names)


def _fetches(project: Project, call: Call) -> list[str]:
    """Return the names of the fetches that follow a call in its function."""
    found: list[str] = []
    for each in _behind(project, call):
        if each.node.lineno < call.node.lineno:
            continue
        names = [_name(fetch) for fetch in project.reach.behind(each, "fetch")]
        found.extend("fetchall" if _is_walk(call, each) else name for name in names)
    return found


def _behind(project: Project, call: Call) -> list[Call]:
    """Return the calls of the same function up to its next statement."""
    others = [each for each in call.function.calls if each is not call]
    after = [each for each in others if each.node.lineno > call.node.lineno]
    last = min((each.node.lineno for each in after if project.reach.behind(each, *STATEMENTS)), default=0)
    return [
        each
        for each in others
        if not last or each.node.lineno < last or (each.does == "fetch" and each.node.lineno == last)
    ]


def _is_walk(call: Call, fetch: Call) -> bool:
    """Whether a fetch takes a row for each turn of a loop that the statement is not in: it takes them all."""
    return any(isinstance(loop.node, ast.While) and loop not in call.loops for loop in fetch.loops)


def _name(call: Call) -> str:
    node = call.node.func if isinstance(call.node, ast.Call) else call.node
    return node.attr if isinstance(node, ast.Attribute) else ""
