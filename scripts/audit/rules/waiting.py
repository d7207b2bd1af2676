"""What a request waits for: the functions that its thread runs, those left out that it hands to somebody else.

Not known: how often a branch is taken. If it is wrong, a background job is taken for a handler.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..model.code import Call, Function, Route

if TYPE_CHECKING:
    from ..model.project import Project

HANDS_ON = frozenset({
    "Thread", "Timer", "Process", "submit", "apply_async", "delay", "enqueue", "queue", "spawn", "spawn_n",
    "add_job", "start_background_task", "start_new_thread", "run_in_executor", "call_later", "call_soon",
    "schedule", "do",
})  # fmt: skip
EVERY_REQUEST = frozenset({
    "before_request", "after_request", "teardown_request", "teardown_appcontext", "before_app_request",
    "after_app_request", "teardown_app_request", "context_processor", "app_context_processor",
    "url_value_preprocessor", "user_loader", "request_loader", "token_in_blocklist_loader", "user_lookup_loader",
})  # fmt: skip
EVERY = "*"  # stands for all routes, as in `Reach.routes`
_KEPT = "_waiting"
_HOOKS = "_hooks_of_every_request"


class Waiting:
    """Answers of one project."""

    def __init__(self, project: Project) -> None:
        self._found: dict[Function, set[str]] = {}
        self._steps: dict[Function, dict[Function, Call | None]] = {}
        for start, name in _starts(project):
            for each in self.steps(start):
                self._found.setdefault(each, set()).add(name)

    def routes(self, function: Function) -> tuple[str, ...]:
        """Return the routes whose requests wait for a function, sorted; "*" for what runs with all of them."""
        return tuple(sorted(self._found.get(function, ())))

    def steps(self, start: Function) -> dict[Function, Call | None]:
        """Return what a function waits for, the nearest first, with the call that gets there."""
        if start not in self._steps:
            self._steps[start] = _walk(start)
        return self._steps[start]


def waiting(project: Project) -> Waiting:
    """Return the answers for a project; made once."""
    if _KEPT not in vars(project):
        vars(project)[_KEPT] = Waiting(project)
    found: Waiting = vars(project)[_KEPT]
    return found


def is_handed_on(call: Call) -> bool:
    """Whether a call leaves what it is given to another thread, process or time."""
    func = call.node.func if isinstance(call.node, ast.Call) else call.node
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    return name in HANDS_ON or call.target.rpartition(".")[2] in HANDS_ON


def every_request(function: Function) -> bool:
    """Whether a function is a hook that runs with each request."""
    return any(hook in EVERY_REQUEST for hook in function.hooks)


def named(routes: tuple[str, ...]) -> str:
    """Return routes as a message has them: "GET /a", "GET /a and 3 more", "every request"."""
    if EVERY in routes:
        return "every request"
    return (
        routes[0]
        if len(routes) == 1
        else f"{routes[0]} and {len(routes) - 1} more"
        if routes
        else "no known route"
    )


def entries(project: Project, route: Route) -> list[Function]:
    """Return what Flask runs for a route, in order: hooks, what decorators put around the view, the view."""
    return list(dict.fromkeys([*_hooks(project), *reversed(route.function.wrappers), route.function]))


def _hooks(project: Project) -> list[Function]:
    """Return what runs with each request; looked for once, for every route asks."""
    if _HOOKS not in vars(project):
        vars(project)[_HOOKS] = [each for each in project.functions() if every_request(each)]
    found: list[Function] = vars(project)[_HOOKS]
    return found


def _starts(project: Project) -> Iterator[tuple[Function, str]]:
    for function in project.functions():
        for route in function.routes:
            yield function, route.name
        if every_request(function):
            yield function, EVERY


def _walk(start: Function) -> dict[Function, Call | None]:
    found: dict[Function, Call | None] = {start: None, **dict.fromkeys(start.wrappers)}
    todo = deque(found)
    while todo:
        for call in todo.popleft().calls:
            for callee in () if is_handed_on(call) else call.callees:
                if callee not in found:
                    found[callee] = call
                    todo.append(callee)
                    todo.extend(each for each in callee.wrappers if each not in found)
                    found.update({each: call for each in callee.wrappers if each not in found})
    return found
