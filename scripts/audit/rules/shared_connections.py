"""Connections and cursors that live as long as the process, and who uses them.

Knows them by where they are made. A helper's connection that other callers use for one call each is told apart by
the name that it is kept under. If this is wrong, global-shared-connection and missing-rollback are.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..evidence.nodes import nodes
from ..model.code import Call, Function, Module, Store
from ..model.values import Connection, Cursor, Site, Values, constants, paths
from .expression_names import name_of, walk_own
from .lifetimes import Verdict, lifetimes
from .running import running
from .vendored_kit import is_of_kit

if TYPE_CHECKING:
    from ..model.project import Project

USES = ("execute", "executemany", "copy", "cursor", "commit", "fetch", "rollback")
_KEPT = "_served_calls"
THREADS = ("threading.local", "werkzeug.local", "contextvars", "asgiref.local", "gevent.local")


@dataclass(frozen=True)
class Shared:
    """A connection or a cursor of the process.

    Attributes:
        call: What makes it.
        users: The calls that served functions use it with, in the order of the source.
    """

    call: Call
    users: tuple[Call, ...]


def shared_connections(project: Project) -> list[Shared]:
    """Return the process's connections that requests use."""
    lives = lifetimes(project)
    found = []
    for call, verdict in lives.verdicts.items():
        if (
            _is_of_process(project, call, verdict)
            and not is_of_kit(project, call.function.path)
            and not _is_of_thread(call)
        ):
            users = _users(project, call)
            if users:
                found.append(Shared(call, users))
    return sorted(found, key=lambda each: each.call.place)


def shared_cursors(project: Project) -> list[Shared]:
    """Return the cursors that are made once and that requests use."""
    users: dict[Site, list[Call]] = {}
    for call in _served_calls(project):
        for value in call.receiver:
            if isinstance(value, Cursor):
                users.setdefault(value.site, []).append(call)
    found = []
    for call in project.calls("cursor"):
        if call.function.is_module and not is_of_kit(project, call.function.path):
            used = [each for site in _cursor_sites(call.result) for each in users.get(site, ())]
            if used:
                found.append(Shared(call, tuple(used)))
    return found


def lasting_sites(project: Project) -> set[Site]:
    """Return where connections are made that only the process keeps: none of them is made for one call."""
    lives = lifetimes(project)
    kinds: dict[Site, set[str]] = {}
    for call, verdict in lives.verdicts.items():
        for value in call.result:
            if isinstance(value, Connection) and not _is_of_thread(call):
                lasts = _is_of_process(project, call, verdict)
                kinds.setdefault(value.site, set()).add("process" if lasts else verdict.kind)
    return {
        site for site, found in kinds.items() if "process" in found and found <= {"process", "returned", "kept"}
    }


def _is_of_process(project: Project, call: Call, verdict: Verdict) -> bool:
    """Whether a connection is the process's: kept for it, or a local of an app factory that its views close"
    " over."""
    if verdict.kind == "process":
        return True
    if verdict.kind != "leaks" or running(project).is_served(call.function):
        return False
    sites = _connection_sites(call.result)
    return any(_is_inside(each.function, call.function) and _is_by(each, sites) for each in _served_calls(project))


def _is_inside(function: Function, outer: Function) -> bool:
    """Whether a function is defined in another."""
    parent = function.parent
    while parent is not None and parent is not outer:
        parent = parent.parent
    return parent is outer


def _is_by(call: Call, sites: set[Site]) -> bool:
    """Whether a call is made on a connection of these, or on a cursor of one."""
    connections = [value.connection if isinstance(value, Cursor) else value for value in call.receiver]
    return any(isinstance(each, Connection) and each.site in sites for each in connections)


def autocommit_sites(project: Project) -> set[Site]:
    """Return where connections are made that the app sets to autocommit."""
    found: set[Site] = set()
    for store in project.stores():
        if store.name == "autocommit" and True in set(_plain(store)):
            found |= _connection_sites(store.owner)
    for call in project.calls():
        name = (
            call.node.func.attr
            if isinstance(call.node, ast.Call) and isinstance(call.node.func, ast.Attribute)
            else ""
        )
        if name == "set_session" and True in set(constants(call.keywords.get("autocommit", frozenset()))):
            found |= _connection_sites(call.receiver)
        if name == "set_isolation_level" and call.arguments and _is_autocommit(call.arguments[0]):
            found |= _connection_sites(call.receiver)
    return found


def _plain(store: Store) -> list[object]:
    return [value for value in constants(store.values) if isinstance(value, bool)]


def _is_autocommit(level: Values) -> bool:
    return 0 in set(constants(level)) or any(path.endswith("ISOLATION_LEVEL_AUTOCOMMIT") for path in paths(level))


def _connection_sites(values: Values) -> set[Site]:
    return {value.site for value in values if isinstance(value, Connection)}


def _cursor_sites(values: Values) -> set[Site]:
    return {value.site for value in values if isinstance(value, Cursor)}


def _served_calls(project: Project) -> list[Call]:
    if _KEPT not in vars(project):
        when = running(project)
        vars(project)[_KEPT] = [
            call for call in project.calls(*USES) if not call.function.is_module and when.is_served(call.function)
        ]
    found: list[Call] = vars(project)[_KEPT]
    return found


def _users(project: Project, call: Call) -> tuple[Call, ...]:
    """Return the calls by which requests use a connection."""
    sites = _connection_sites(call.result) & lasting_sites(project)
    if not sites and call.function.is_module:
        return _users_by_name(project, call)
    found = tuple(each for each in _served_calls(project) if _is_by(each, sites))
    return found or _users_by_attribute(project, call)


def _users_by_attribute(project: Project, call: Call) -> tuple[Call, ...]:
    """Return the uses of what nothing is known of by the attribute that a connection is kept under."""
    statement = call.function.module.statement(call.node)
    kept = {target.attr for target in getattr(statement, "targets", ()) if isinstance(target, ast.Attribute)}
    found = []
    for each in _served_calls(project):
        owner = getattr(getattr(each.node, "func", None), "value", None)
        unknown = not any(isinstance(value, Connection) and value.driver for value in each.receiver)
        if (
            unknown
            and isinstance(owner, ast.Attribute)
            and owner.attr in kept
            and each.function is not call.function
        ):
            found.append(each)
    return tuple(found)


def _users_by_name(project: Project, call: Call) -> tuple[Call, ...]:
    """Return the uses of a module's own name for a connection that a helper makes for others as well."""
    statement = call.function.module.statement(call.node)
    targets = [each for target in getattr(statement, "targets", ()) for each in getattr(target, "elts", [target])]
    names = {name_of(each) for each in targets} - {""}
    cursors = {
        site for each in call.function.calls if each.does == "cursor" and isinstance(each.node, ast.Call)
        and name_of(getattr(each.node.func, "value", None)) in names for site in _cursor_sites(each.result)
    }  # fmt: skip
    found = []
    for each in _served_calls(project):
        owner = name_of(getattr(getattr(each.node, "func", None), "value", None))
        if cursors & _cursor_sites(each.receiver) or (
            owner.rpartition(".")[2] in names and reads_global(each.function, owner, call.function.module)
        ):
            found.append(each)
    return tuple(found)


def reads_global(function: Function, owner: str, module: Module) -> bool:
    """Whether a function's name is a module's: not bound by itself, and its own module's or an imported one."""
    is_elsewhere = function.module is not module and "." not in owner
    if is_elsewhere and owner not in _imported_from(function.module, module.name.rpartition(".")[2]):
        return False
    first = owner.partition(".")[0]
    if first in function.parameters:
        return False
    return not any(
        isinstance(node, ast.Name) and node.id == first and isinstance(node.ctx, ast.Store)
        for node in walk_own(function.node)
    )


def _imported_from(module: Module, name: str) -> list[str]:
    """Return what a module imports from another of a name, as it calls that."""
    found = [node for node in nodes(module, ast.ImportFrom) if (node.module or "").rpartition(".")[2] == name]
    return [alias.asname or alias.name for node in found for alias in node.names]


def _is_of_thread(call: Call) -> bool:
    """Whether a connection is kept per thread or per context."""
    statement = call.function.module.statement(call.node)
    targets = [*getattr(statement, "targets", ()), *filter(None, [getattr(statement, "target", None)])]
    for store in call.function.stores:
        if store.node in targets and any(path.startswith(THREADS) for path in paths(store.owner)):
            return True
    return False
