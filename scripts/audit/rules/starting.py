"""What runs when a worker starts: the code of the app's modules, the app's factory, and all that these run.

Modules that only scripts import are no part of it. If this is wrong, a script's work is reported as a worker's.
"""

from __future__ import annotations

import ast
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..model.code import Call, Function
from .running import running
from .waiting import is_handed_on

if TYPE_CHECKING:
    from ..model.project import Project

_KEPT = "_starting"
FIRST_REQUEST = ("before_first_request", "before_app_first_request")


@dataclass(frozen=True)
class Start:
    """How a function comes to run at the start.

    Attributes:
        call: The first call of the way to it; None for what runs by itself.
        when: "at import", "in the app's factory create_app()", "before the first request".
    """

    call: Call | None
    when: str


def starting(project: Project) -> dict[Function, Start]:
    """Return the functions that run in each worker before it serves, or with its first request; found once."""
    if _KEPT in vars(project):
        kept: dict[Function, Start] = vars(project)[_KEPT]
        return kept
    found: dict[Function, Start] = {}
    vars(project)[_KEPT] = found
    if not any(True for _ in project.routes()):
        return found
    is_ours = running(project).is_of_the_app
    for function in project.functions():
        if function.is_module and is_ours(function.module):
            found[function] = Start(None, "at import")
        elif _is_factory(function):
            found[function] = Start(None, f"in the app's factory {function.name}()")
        elif any(hook in FIRST_REQUEST for hook in function.hooks):
            found[function] = Start(None, "before the first request")
    todo = deque(found)
    while todo:
        function = todo.popleft()
        start = found[function]
        for call in function.calls:
            for callee in () if call.is_guarded or is_handed_on(call) else call.callees:
                if callee not in found:
                    found[callee] = Start(start.call or call, start.when)
                    todo.append(callee)
    return found


def is_opted_in(call: Call) -> bool:
    """Whether a call stands under a condition that singles out one process: a setting, a lock."""
    module = call.function.module
    tests = [each.test for each in module.ancestors(call.node) if isinstance(each, (ast.If, ast.IfExp))]
    words = " ".join(ast.unparse(test) for test in tests).lower()
    if "werkzeug_run_main" in words:
        return False  # that is the reloader of the development server
    return any(
        word in words for word in ("environ", "getenv", "config", "lock", "settings", "argv", "leader", "is_main")
    )


def _is_factory(function: Function) -> bool:
    return not function.is_module and any(call.target == "flask.Flask" for call in function.calls)
