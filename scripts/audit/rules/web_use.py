"""Which of Flask's features an app uses: sessions, forms, uploads. By syntax, over the whole project."""

from __future__ import annotations

import ast
import re

from ..evidence.nodes import nodes
from ..finding import Place
from ..model.code import Module, Route
from ..model.project import Project
from .flask_app import apps, imports
from .literals import dotted

CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HARMLESS = re.compile(
    r"log_?in|sign_?(in|up)|regist|search|filter|log_?out|reset|forgot|(^|/)(get|show|list|fetch|load|check|validate)_",
    re.IGNORECASE,
)
LOGINS = ("flask_login", "flask_security", "flask_session", "flask_user")


def home(project: Project) -> Place | None:
    """Return where the app is made: the place to mend a setting that is missing."""
    return next((call.place for call in apps(project)), None)


def uses_sessions(project: Project) -> bool:
    """Whether the app keeps anything in the session's cookie, a log-in above all."""
    if imports(project, *LOGINS):
        return True
    return any(reads(module, "flask.session", "session") for module in project.modules)


def reads(module: Module, *names: str) -> list[ast.expr]:
    """Return the expressions that read one of these: `request.files`, `session` where Flask's is imported.

    A name counts only where it, or its first part, is imported from flask.
    """
    if not any(name in line for line in module.lines for name in names):
        return []
    imported = _from_flask(module)
    found = [
        node
        for node in nodes(module, ast.Attribute, ast.Name)
        if dotted(node) in names and dotted(node).partition(".")[0] in imported
    ]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def _from_flask(module: Module) -> set[str]:
    found = {"flask"}
    for node in nodes(module, ast.ImportFrom):
        if node.module == "flask":
            found.update(alias.asname or alias.name for alias in node.names)
    return found


def mentions(project: Project, pattern: str) -> bool:
    """Whether any line of code has a text; for settings that may be set in ways nobody foresaw."""
    wanted = re.compile(pattern)
    return any(wanted.search(line) for module in project.modules for line in module.lines)


def form_routes(project: Project) -> list[Route]:
    """Return the routes that change something from a form, log-ins and searches aside, in order."""
    found = [route for route in project.routes() if CHANGES & set(route.methods) and _reads_a_form(route)]
    return [route for route in found if not _HARMLESS.search(f"{route.rule}/{route.function.name}")]


def _reads_a_form(route: Route) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and dotted(node) in ("request.form", "flask.request.form", "request.values")
        for node in ast.walk(route.function.node)
    )
