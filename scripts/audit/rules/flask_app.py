"""Where the Flask app is made and run."""

from __future__ import annotations

import ast
import re

from ..evidence.nodes import nodes
from ..model.code import Call
from ..model.project import Project
from .literals import dotted

APP = "flask.Flask()"
RUNS = (
    "flask.Flask().run", "flask_socketio.SocketIO().run", "werkzeug.serving.run_simple",
    "flask_script.Manager().run",
)  # fmt: skip
MANAGER = "flask_script.Manager().run"
APP_NAMES = re.compile(r"(^|\.)(app|application|flask_?app|web_?app|create_app|make_app|api_app)$", re.I)


def runs(project: Project) -> list[Call]:
    """Return the calls that start a development server, in the order of the source."""
    unread = {broken.path.partition("/")[0].removesuffix(".py") for broken in project.broken}
    return [call for call in project.calls() if _is_run(call, unread)]


def _is_run(call: Call, unread: set[str]) -> bool:
    """Whether a call runs an app; one from a file that does not parse is known by its name."""
    if call.target in RUNS:
        return True
    function = call.node.func if isinstance(call.node, ast.Call) else None
    if not isinstance(function, ast.Attribute) or function.attr != "run" or call.callees:
        return False
    is_unknown = not call.target and not call.receiver
    is_unread = call.target.partition(".")[0].removesuffix("()") in unread
    return (is_unknown or is_unread) and bool(APP_NAMES.search(dotted(function.value)))


def apps(project: Project) -> list[Call]:
    """Return the calls of `Flask(...)`, in the order of the source."""
    return list(project.calls_to("flask.Flask"))


def imports(project: Project, *names: str) -> bool:
    """Whether a module of the project imports one of these packages or names."""
    for module in project.modules:
        for node in nodes(module, ast.Import, ast.ImportFrom):
            if isinstance(node, ast.Import):
                found = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
            else:
                continue
            if any(each == name or each.startswith(name + ".") for each in found for name in names):
                return True
    return False
