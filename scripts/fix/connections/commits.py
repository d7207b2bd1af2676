"""Whether what is written on a connection of the process is committed by who writes it.

Today whoever commits next saves what others left open. With a connection per request that is rolled back, so such
writes are looked for. If this is wrong, writes disappear.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...audit.model.code import Call, Function
from ...audit.model.project import Project
from ...audit.model.values import statements
from ...audit.rules.expression_names import name_of, walk_own
from ...audit.rules.missing_rollback import WRITES
from ...audit.rules.rollback_cover import CONNECTION_NAME
from ...audit.rules.running import running
from ...audit.rules.shared_connections import autocommit_sites
from ...audit.rules.starting import starting
from .lasting import Lasting, at, on


def open_at_start(project: Project, found: Lasting) -> str:
    """Whether start-up code leaves a write open, which a request's own connection would wait for."""
    if found.sites & autocommit_sites(project):
        return ""
    starts, when = starting(project), running(project)
    for call in statements_on(project, found):
        is_first = call.function in starts and not call.is_guarded and not when.is_routed(call.function)
        if is_first and _is_write(project, call) and not any(map(_commits, _around(project, call.function))):
            return f"a write at the start is not committed there ({at(call)})"
    return ""


def never_committed(project: Project, found: Lasting) -> str:
    """Whether a route writes and never commits: today whoever commits next saves it."""
    if found.sites & autocommit_sites(project):
        return ""
    when = running(project)
    calls = [call for call in statements_on(project, found) if when.is_served(call.function)]
    writes = [call for call in calls if _is_write(project, call)]
    for root in project.functions():
        if not root.routes and not root.hooks:
            continue
        reached = set(project.reach.closure([root]))
        lost = next((call for call in writes if call.function in reached), None)
        if lost and not any(_commits(each) for each in reached):
            return f"{root.name}() writes and does not commit ({at(lost)}), which a pool would roll back"
    return ""


def _around(project: Project, function: Function) -> list[Function]:
    """Return a function with those that it runs, and those that run it."""
    above = [call.function for call in function.callers]
    return project.reach.closure([function, *above])


def statements_on(project: Project, found: Lasting) -> Iterator[Call]:
    for call in project.calls("execute", "executemany", "copy"):
        if on(found.sites, call.receiver) or any(on(found.sites, each) for each in call.arguments[:1]):
            yield call


def _is_write(project: Project, call: Call) -> bool:
    """Whether a statement may change something; of what is not known, any does in a project that commits."""
    found = [text for text in statements(call.sql) if text.pieces and isinstance(text.pieces[0], str)]
    known = [_first_words(call), *(text.with_holes("x") for text in found)]
    if any(known):
        return any(map(WRITES.match, known))
    return any(True for _ in project.calls("commit"))


def _first_words(call: Call) -> str:
    """Return the text that a statement begins with where it is written out: `"SELECT " + columns`."""
    node = call.node.args[0] if isinstance(call.node, ast.Call) and call.node.args else None
    while not isinstance(node, ast.Constant):
        if isinstance(node, ast.BinOp):
            node = node.left
        elif isinstance(node, ast.JoinedStr) and node.values:
            node = node.values[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            return ""
    return node.value if isinstance(node.value, str) else ""


def _commits(function: Function) -> bool:
    if any(call.does == "commit" for call in function.calls):
        return True
    for node in walk_own(function.node):
        if isinstance(node, ast.Attribute) and node.attr == "commit":
            return True
        names = [name_of(each.context_expr) for each in node.items] if isinstance(node, ast.With) else []
        if any(map(CONNECTION_NAME.search, names)):
            return True
    return False
