"""Why a connection of the process must not become one per request: what handlers and start-up code do with it.

What one request leaves in the session or in an open transaction, the next one finds there today. Nothing of that
may be lost. If this is wrong, writes disappear, or a setting that requests rely on is gone.
"""

from __future__ import annotations

import ast
import re

from ...audit.model.code import Function
from ...audit.model.project import Project
from ...audit.model.values import statements
from ...audit.rules.expression_names import name_of
from ...audit.rules.session_state import FEATURES
from .commits import never_committed, open_at_start, statements_on
from .lasting import Lasting, at, is_start, on, title
from .opened import is_guarded, is_made_at_start, is_made_lightly, is_once

# psycopg2 looks at the type of these in C, and takes no stand-in.
REFUSE = re.compile(r"psycopg2\.(extensions\.(quote_ident|register_type|lobject|adapt)|extras\.register_\w+)")
# Python code that only calls methods of what it is given.
TAKE = re.compile(
    r"psycopg2\.extras\.(execute_|wait_select)|(pandas|polars)\.|flask\.|logging\.|contextlib\.closing"
)
BUILTINS = frozenset({"print", "str", "repr", "isinstance", "bool", "type", "id", "hasattr", "getattr", "setattr"})
SETTINGS = ("set_session", "set_isolation_level", "set_client_encoding")


def hazard(project: Project, found: Lasting) -> str:
    """Return why a connection is left as it is; empty when each request can have its own."""
    checks = (_opening, _reopened, _refused, _cursors, _settings, _session, open_at_start, never_committed)
    return next((reason for check in checks if (reason := check(project, found))), "")


def _opening(project: Project, found: Lasting) -> str:
    if not found.connects:
        return "where this connection is opened is not known"
    for call in found.connects:
        if call.target != "psycopg2.connect":
            return f"{call.target} is not psycopg2.connect"
        given = {"async", "async_", "connection_factory"} & set(call.keywords)
        if given:
            return f"it is opened with {min(given)}, which a pool cannot lease"
    return ""


def _reopened(project: Project, found: Lasting) -> str:
    """Whether handlers put another connection in its place."""
    late = [call for call in found.connects if not is_once(project, call)]
    if late and len(found.connects) > len(late):
        return f"{title(late[0])} opens it anew while requests run ({at(late[0])})"
    if late:
        return f"{title(late[0])} opens it at each call, and requests call it ({at(late[0])})"
    return ""


def _refused(project: Project, found: Lasting) -> str:
    """Whether it is given to something that may not take a stand-in for it."""
    for call in project.calls():
        given = [*call.arguments, *call.keywords.values()]
        if call.callees or call.does in ("close", "putconn") or not any(on(found.sites, each) for each in given):
            continue
        name = name_of(getattr(call.node, "func", None))
        method = getattr(getattr(call.node, "func", None), "attr", "")
        if REFUSE.match(call.target) or method in ("as_string", "prepare"):
            return f"{name or method}() gets it, and takes a real connection only ({at(call)})"
        if call.target and not TAKE.match(call.target) and name not in BUILTINS:
            return f"{name}() gets it, and may take a real connection only ({at(call)})"
    return ""


def _cursors(project: Project, found: Lasting) -> str:
    if found.strays:
        return f"a cursor that {title(found.strays[0])} makes is used elsewhere later ({at(found.strays[0])})"
    for call in found.cursors:
        if (call.arguments and isinstance(call.node, ast.Call) and call.node.args) or "name" in call.keywords:
            return f"a named cursor is kept with it ({at(call)})"
    return ""


def _settings(project: Project, found: Lasting) -> str:
    """Whether handlers set what later requests rely on."""
    for store in project.stores():
        if on(found.sites, store.owner) and not store.is_item and _is_late(project, found, store.function):
            return f"{store.function.name}() sets its {store.name}, which lasts beyond the request"
    for call in project.calls():
        method = getattr(getattr(call.node, "func", None), "attr", "")
        if method in SETTINGS and on(found.sites, call.receiver) and _is_late(project, found, call.function):
            return f"{title(call)} calls {method}(), which lasts beyond the request ({at(call)})"
    return ""


def _is_late(project: Project, found: Lasting, function: Function) -> bool:
    """Whether a function runs for requests: neither at the start, nor as the constructor of what is made there."""
    if is_start(project, function):
        return False
    own = [call for call in found.connects if call.function is function]
    if not own or function.name != "__init__":
        return True
    is_made_anew = not any(map(is_guarded, own)) and is_made_lightly(project, function)
    return not (is_made_at_start(project, function) or is_made_anew)


def _session(project: Project, found: Lasting) -> str:
    """Whether a statement changes the session for those that come after it."""
    for call in statements_on(project, found):
        for text in statements(call.sql):
            sql = text.with_holes("x").strip()
            for pattern, what, _ in FEATURES:
                if pattern.search(sql):
                    return f"{what} changes its session for all requests ({at(call)})"
    return ""
