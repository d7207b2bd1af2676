"""How often a connect runs in a process: once, for an object that requests make, or each time that it is called.

Knows conditions that ask for the connection, and constructors of objects. If this is wrong, a stand-in is made for
each call, and requests keep a connection for each of them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...audit.model.code import Call, Function
from ...audit.model.project import Project
from ...audit.rules.bindings import binding_of
from ...audit.rules.expression_names import name_of, root_of
from .lasting import is_start

_MOST = 3  # objects with a connection of their own in one request
_DEEPEST = 4  # objects in objects


def is_once(project: Project, call: Call) -> bool:
    """Whether a connect runs once in a process: at the start, or when there is none yet."""
    function = call.function
    if is_start(project, function) or function.name == "__new__" or "before_first_request" in function.hooks:
        return True
    if function.name == "__init__" and (is_made_at_start(project, function) or is_made_lightly(project, function)):
        return True
    return is_guarded(call)


def is_guarded(call: Call) -> bool:
    """Whether a connect stands under a condition that asks for the connection."""
    function = call.function
    statement = function.module.statement(call.node)
    targets = [*getattr(statement, "targets", ()), *filter(None, [getattr(statement, "target", None)])]
    last = {name_of(each).rpartition(".")[2] for each in targets} - {""}
    above = [each for each in function.module.ancestors(call.node) if each is not function.node]
    tests = [each.test for each in above if isinstance(each, (ast.If, ast.IfExp, ast.While))]
    words = {word for test in tests for node in ast.walk(test) for word in _words(node)}
    return bool(last & words) or ("conn" in " ".join(words) and "closed" not in words)


def is_made_at_start(project: Project, init: Function) -> bool:
    return bool(init.callers) and all(is_start(project, each.function) for each in init.callers)


def is_made_lightly(project: Project, init: Function, deep: int = 0) -> bool:
    """Whether requests make few objects of a class, which keep a connection each, and none that outlives them."""
    made = [call for call in init.callers if not is_start(project, call.function)]
    if not init.callers or deep > _DEEPEST or not all(_is_light(project, call, deep) for call in made):
        return False
    roots = [each for each in project.functions() if each.routes or each.hooks]
    reached = (set(project.reach.closure([root])) for root in roots)
    return all(sum(call.function in each for call in made) <= _MOST for each in reached)


def _is_light(project: Project, call: Call, deep: int) -> bool:
    """Whether a constructor is called once, for what the request drops, or for an object that is made so."""
    if call.loops:
        return False
    names = binding_of(project, call, None).names
    if all(name == root_of(name) and name not in call.function.globals for name in names):
        return True
    is_own = call.function.name == "__init__" and all(root_of(name) == "self" for name in names)
    return is_own and is_made_lightly(project, call.function, deep + 1)


def _words(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
