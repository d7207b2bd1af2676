"""The connections of the process that findings speak of: where each is opened, and which cursors are kept with it.

One connection is one `Lasting`, with all of its findings, since its cursors have to change with it: a cursor that
stayed behind would write in a transaction that nobody commits. If this is wrong, that is what happens.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...audit.finding import Finding, Place
from ...audit.model.code import Call, Class, Function
from ...audit.model.project import Project
from ...audit.model.values import Connection, Cursor, Instance, Site, Value
from ...audit.rules.bindings import binding_of
from ...audit.rules.expression_names import root_of
from ...audit.rules.lifetimes import is_ours
from ...audit.rules.running import running
from ...audit.rules.shared_connections import Shared, shared_connections, shared_cursors
from ...audit.rules.shared_objects import shared_objects

_DEEPEST = 3  # objects in objects, as the rule looks


@dataclass(frozen=True)
class Lasting:
    """A connection of the process.

    Attributes:
        findings: What is said of it and of its cursors.
        sites: Where the model says that it is made.
        connects: The calls that open it.
        cursors: The calls that make the cursors that are kept with it.
        strays: The calls by which handlers make a cursor that other handlers use.
    """

    findings: tuple[Finding, ...]
    sites: frozenset[Site]
    connects: tuple[Call, ...]
    cursors: tuple[Call, ...]
    strays: tuple[Call, ...]


def lasting(project: Project, findings: Iterable[Finding]) -> list[Lasting]:
    """Put findings of global-shared-connection together by the connection that they are about."""
    groups: list[tuple[list[Finding], set[Site]]] = []
    shared = _by_place(project)
    for finding in findings:
        places = {finding.place, *finding.more}
        sites = {site for place in places for each in shared.get(place, ()) for site in _sites(project, each)}
        same = [group for group in groups if sites & group[1]]
        told = [each for group in same for each in group[0]]
        sites = sites.union(*(each[1] for each in same))
        groups = [*(group for group in groups if group not in same), ([*told, finding], sites)]
    return [_lasting(project, tuple(found), frozenset(sites)) for found, sites in groups]


def on(sites: Iterable[Site], values: Iterable[Value]) -> bool:
    """Whether a connection of these, or a cursor of one, is among values."""
    known = set(sites)
    for value in values:
        connection = value.connection if isinstance(value, Cursor) else value
        if isinstance(connection, Connection) and connection.site in known:
            return True
    return False


def is_start(project: Project, function: Function) -> bool:
    """Whether a function runs when modules are imported, and for no request."""
    if function.is_module:
        return True
    return not running(project).is_served(function) and not project.reach.routes(function)


def _by_place(project: Project) -> dict[Place, list[Shared]]:
    found: dict[Place, list[Shared]] = {}
    for each in (*shared_connections(project), *shared_objects(project), *shared_cursors(project)):
        module = each.call.function.module
        statement = module.statement(each.call.node)
        is_assigned = isinstance(statement, (ast.Assign, ast.AnnAssign))
        place = module.place(statement) if is_assigned else each.call.place
        found.setdefault(place, []).append(each)
    return found


def _sites(project: Project, shared: Shared) -> Iterator[Site]:
    for value in shared.call.result:
        if isinstance(value, Connection):
            yield value.site
        elif isinstance(value, Cursor) and value.connection is not None:
            yield value.connection.site
        elif isinstance(value, Instance):
            yield from _of_object(project, value.cls, _DEEPEST)


def _of_object(project: Project, cls: Class, left: int) -> Iterator[Site]:
    """Yield where the constructor of an object connects, and those of the objects that it keeps."""
    init = cls.method("__init__")
    for call in init.calls if init and left else ():
        if not any(name != "self" and root_of(name) == "self" for name in binding_of(project, call, None).names):
            continue
        for value in call.result:
            if isinstance(value, Connection) and is_ours(call):
                yield value.site
            elif isinstance(value, Instance):
                yield from _of_object(project, value.cls, left - 1)


def _lasting(project: Project, findings: tuple[Finding, ...], sites: frozenset[Site]) -> Lasting:
    connects = tuple(call for call in project.calls("connect") if _is_made_here(call, sites))
    makers = {call.function for call in connects}
    cursors, strays = [], []
    for call in project.calls("cursor"):
        if on(sites, call.receiver) and isinstance(call.node, ast.Call):
            kept = _kept(project, call, makers)
            if kept == "process":
                cursors.append(call)
            elif kept == "handler":
                strays.append(call)
    return Lasting(findings, sites, connects, tuple(cursors), tuple(strays))


def _is_made_here(call: Call, sites: frozenset[Site]) -> bool:
    site = Site(call.function.path, getattr(call.node, "lineno", 0), getattr(call.node, "col_offset", 0))
    return site in sites


def _kept(project: Project, call: Call, makers: set[Function]) -> str:
    """Return who keeps a cursor: "process", "handler" for one that others use after it, "" for nobody."""
    function = call.function
    names = binding_of(project, call, None).names
    if function.is_module:
        is_entered = isinstance(function.module.parents.get(call.node), ast.withitem)
        return "process" if names and not is_entered else ""
    own = {value.site for value in call.result if isinstance(value, Cursor)}
    users = [
        each for each in project.calls("execute", "executemany", "fetch", "copy")
        if each.function is not function and any(isinstance(v, Cursor) and v.site in own for v in each.receiver)
        and not is_start(project, each.function)
    ]  # fmt: skip
    is_outer = any(_outlives(name, function) for name in names)
    if not users:
        return ""
    if is_outer and (function in makers or is_start(project, function)):
        return "process"
    starts = bool(function.callers) and all(is_start(project, each.function) for each in function.callers)
    if starts and (function in makers or is_start(project, function)):
        return "process"
    return "handler" if is_outer else ""


def _outlives(name: str, function: Function) -> bool:
    root = root_of(name)
    if name == root:
        return root in function.globals
    return root in ("self", "cls", "app", "current_app") or root not in function.parameters


def same_connection(values: Iterable[Value], others: Iterable[Value]) -> bool:
    """Whether two receivers, connections or cursors, belong to one connection."""
    sites = {
        each.site for value in others
        if isinstance(each := value.connection if isinstance(value, Cursor) else value, Connection)
    }  # fmt: skip
    return on(sites, values)


def title(call: Call) -> str:
    """Return what a reason calls the function that a call is in."""
    return "start-up code" if call.function.is_module else f"{call.function.name}()"


def at(call: Call) -> str:
    """Return where a call is, for a reason."""
    return f"{call.function.path}:{call.place.line}"
