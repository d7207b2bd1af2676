"""Objects with a connection that a module makes at import, of classes that requests make objects of as well.

`shared_connections` knows a connection by where it is made, which is the constructor, so it cannot tell the object
that lives as long as the process from those of single requests. Here the object's name tells. Attributes of such
an object that are objects with a connection count too. If this is wrong, global-shared-connection is.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model.code import Call, Class, Function
from ..model.project import Project
from ..model.values import Instance, Values
from .bindings import binding_of
from .expression_names import name_of, root_of
from .lifetimes import is_ours, lifetimes
from .running import running
from .shared_connections import USES, Shared, reads_global
from .vendored_kit import is_of_kit

_DEEPEST = 3  # objects in objects


def shared_objects(project: Project) -> Iterator[Shared]:
    """Yield the calls at import that make such an object, with the calls that requests use it by."""
    for module in project.modules:
        for call in module.body.calls:
            if call.is_guarded or is_of_kit(project, module.path):
                continue
            if any(_holds(project, cls, _DEEPEST) for cls in _made(call)):
                users = tuple(_users(project, call))
                if users:
                    yield Shared(call, users)


def _made(call: Call) -> list[Class]:
    """Return the classes that a call makes an object of by their constructors."""
    makes = any(callee.name == "__init__" for callee in call.callees)
    return _classes(call.result) if makes else []


def _classes(values: Values) -> list[Class]:
    return [value.cls for value in values if isinstance(value, Instance)]


def _holds(project: Project, cls: Class, left: int) -> bool:
    """Whether a class's constructor keeps a connection that is not known as the process's, itself or below."""
    init = cls.method("__init__")
    if init is None or left == 0:
        return False
    if any(_is_kept(project, call) for call in init.calls if is_ours(call)):
        return True
    inner = [call for call in init.calls if any(_is_own(name) for name in binding_of(project, call, None).names)]
    return any(_holds(project, each, left - 1) for call in inner for each in _made(call))


def _is_kept(project: Project, call: Call) -> bool:
    verdict = lifetimes(project).verdicts.get(call)
    is_known = verdict is None or verdict.kind in ("process", "closed")
    return not is_known and any(_is_own(name) for name in binding_of(project, call, None).names)


def _is_own(name: str) -> bool:
    return name != "self" and root_of(name) == "self"


def _users(project: Project, made: Call) -> Iterator[Call]:
    """Yield the calls of served functions on the module's name that get to the database."""
    names = {name for name in binding_of(project, made, None).names if name == root_of(name)}
    when = running(project)
    for function in project.functions() if names else ():
        if function.is_module or not when.is_served(function):
            continue
        for call in function.calls:
            if _is_on(call, names, made.function) and project.reach.behind(call, *USES):
                yield call


def _is_on(call: Call, names: set[str], module: Function) -> bool:
    owner = name_of(getattr(getattr(call.node, "func", None), "value", None))
    return root_of(owner) in names and reads_global(call.function, root_of(owner), module.module)
