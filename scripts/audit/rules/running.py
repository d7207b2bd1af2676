"""When a function runs: for a request, at the start, or from a script that somebody types.

Knows callers that the model has found and the imports of modules. A function that nobody calls counts as served
when its module belongs to the app, since dead helpers come back to life. If this is wrong, scripts are reported,
or handlers are not.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from typing import TYPE_CHECKING

from ..evidence.nodes import nodes
from ..model.code import Function, Module

if TYPE_CHECKING:
    from ..model.project import Project

STARTS = re.compile(
    r"_*((init|initiali[sz]e|set_?up|seed|migrate|populate)(_?(db|database|tables?|schema|data|app|all))?"
    r"|(create|drop|reset|delete|clear|make)_?(db|database|(all_)?tables?|schema|app|all))$", re.IGNORECASE,
)  # fmt: skip
FRAMEWORKS = frozenset({"flask", "quart", "flask_restful", "flask_restx"})
ASSEMBLING = ("flask.Flask().register_blueprint", "flask.Flask().add_url_rule")  # what puts the app together
COMMANDS = ("command", "task", "shared_task", "scheduled_job", "cli", "option")
_KEPT = "_running"


class Running:
    """Answers of one project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._served: dict[Function, bool] = {}
        self._wrapped: dict[Function, list[Function]] = {}
        for function in project.functions():
            for wrapper in function.wrappers:
                self._wrapped.setdefault(wrapper, []).append(function)
        self._app = _modules_of_the_app(project)

    def is_served(self, function: Function) -> bool:
        """Whether a request may run it: through a route, or because nothing shows that none does."""
        if function not in self._served:
            self._served[function] = bool(self._project.reach.routes(function)) or any(
                self._may_serve(root) for root in self._roots(function)
            )
        return self._served[function]

    def is_routed(self, function: Function) -> bool:
        """Whether a route is known to run it."""
        return bool(self._project.reach.routes(function))

    def is_of_the_app(self, module: Module) -> bool:
        """Whether the app imports a module, or may."""
        return module in self._app

    def is_of_app(self, module: Module) -> bool:
        """Whether a module belongs to what serves requests."""
        return module in self._app

    def _roots(self, function: Function) -> list[Function]:
        """Return the functions that it is run from, and that nobody calls."""
        seen, roots = {function}, []
        todo = deque([function])
        while todo:
            each = todo.popleft()
            above = [call.function for call in each.callers] + self._wrapped.get(each, [])
            if not above:
                roots.append(each)
            for caller in above:
                if caller not in seen:
                    seen.add(caller)
                    todo.append(caller)
        return roots

    def _may_serve(self, root: Function) -> bool:
        if root.is_module or root.name == "main" or root.module not in self._app:
            return False
        if STARTS.match(root.name) or any(call.target == "flask.Flask" for call in root.calls):
            return False
        return not any(_last_name(each) in COMMANDS for each in getattr(root.node, "decorator_list", ()))


def running(project: Project) -> Running:
    """Return the answers for a project; made once."""
    if _KEPT not in vars(project):
        vars(project)[_KEPT] = Running(project)
    found: Running = vars(project)[_KEPT]
    return found


def _modules_of_the_app(project: Project) -> set[Module]:
    """Return the modules with routes, or that hang them on the app, and their imports; else all but scripts."""
    by_tail: dict[str, list[Module]] = {}
    for module in project.modules:
        by_tail.setdefault(module.name.rpartition(".")[2], []).append(module)
    found = {route.function.module for route in project.routes()}
    found |= {call.function.module for call in project.calls() if found and call.target in ASSEMBLING}
    if not found:
        is_web = project.broken or any(_imported(module) & FRAMEWORKS for module in project.modules)
        return {module for module in project.modules if is_web and not _is_script(module)}
    todo = deque(found)
    while todo:
        for name in _imported(todo.popleft()):
            for module in by_tail.get(name, ()):
                if module not in found:
                    found.add(module)
                    todo.append(module)
    return found


def _imported(module: Module) -> set[str]:
    """Return the last parts of whatever a module imports."""
    names: set[str] = set()
    for node in nodes(module, ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            names.update(part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            names.update((node.module or "").split("."))
            names.update(alias.name for alias in node.names)
    return names


def _is_script(module: Module) -> bool:
    return any(isinstance(node, ast.If) and "__name__" in ast.dump(node.test)[:200] for node in module.tree.body)


def _last_name(node: ast.expr) -> str:
    while isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
