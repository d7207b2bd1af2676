"""Where a project's Flask apps are made, and the edits that adopt them: `adopt(app)` behind that statement.

Knows `Flask(...)`, subclasses of it in the project, and the apps of frameworks that are Flask inside. One that
nothing names (`return Flask(__name__)`) is adopted where its factory's result gets a name. If this is wrong,
requests are served without a pool, or a line stands where there is no app.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ...audit.finding import Place
from ...audit.model.code import Call
from ...audit.model.project import Project
from ...audit.model.values import Instance
from ...audit.rules.expression_names import name_of
from ...audit.rules.running import running
from ..fixer import Context, Edit, Import
from ..source import Source
from .naming import reference
from .visible import connected, sees_runtime

# What makes an app, and how one gets from it to the Flask object.
MAKERS = {
    "flask.Flask": "", "apiflask.APIFlask": "", "flask_openapi3.OpenAPI": "", "flask_api.FlaskAPI": "",
    "eve.Eve": "", "connexion.FlaskApp": ".app", "connexion.App": ".app",
}  # fmt: skip
SERVING = re.compile(r"flask\.Flask\(\)\.(run|route|get|post|put|delete|patch|register_blueprint|add_url_rule)$")
TELLING = ("connect-per-request", "global-shared-connection", "no-connect-timeout", "no-statement-timeout")
TESTS = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|tests?|conftest)\.py$")


@dataclass(frozen=True)
class Adoption:
    """The edits that adopt every app of a project; `place` is the first of them."""

    place: Place
    edits: tuple[Edit, ...]
    imports: tuple[Import, ...]


def adoption(context: Context) -> Adoption | None:
    """Return how the apps of a project are adopted; None when none is made that has a name."""
    edits: dict[Edit, Place] = {}
    imports: dict[Import, None] = {}
    for call, suffix in _served(context):
        for statement, target in _named(call, set()):
            path = statement.path
            way = reference(context, path, "adopt")
            if way:
                edit = behind(context.source(path), statement.node, f"{way[0]}({target}{suffix})")
                edits.setdefault(edit, statement.place)
                imports[way[1]] = None
    if not edits:
        return None
    return Adoption(min(edits.values()), tuple(sorted(edits)), tuple(imports))


def _served(context: Context) -> list[tuple[Call, str]]:
    """Return the apps that serve: those of the app's modules, or with anything hung on them; else all.

    Of several, those of scripts that do not see the runtime are left out, and those that have nothing to do with
    what was found: examples, loaders.
    """
    project = context.project
    found = list(made(project))
    found = [each for each in found if sees_runtime(project, context.kit, each[0].function.module)] or found
    told = {each.place.path for each in context.findings if each.name in TELLING}
    if len(found) > 1:
        found = [each for each in found if told & connected(project, each[0].function.module)] or found
    hung = {call.function.module for call in project.calls() if SERVING.match(call.target)}
    modules = [module for module in project.modules if module in hung or running(project).is_of_the_app(module)]
    return [each for each in found if each[0].function.module in modules] or found


def made(project: Project) -> Iterator[tuple[Call, str]]:
    """Yield the calls that make an app, each with how one gets from it to the Flask object."""
    for call in project.calls():
        if isinstance(call.node, ast.Call) and not TESTS.search(call.function.path):
            if call.target in MAKERS:
                yield call, MAKERS[call.target]
            elif _makes_subclass(call):
                yield call, ""


def _makes_subclass(call: Call) -> bool:
    """Whether a call names a class of the project that is a Flask."""
    name = name_of(getattr(call.node, "func", None)).rpartition(".")[2]
    return any(
        isinstance(value, Instance) and value.cls.node.name == name
        and any(base in MAKERS for cls in value.cls.lineage for base in cls.external_bases)
        for value in call.result
    )  # fmt: skip


@dataclass(frozen=True)
class _Statement:
    path: str
    node: ast.stmt
    place: Place


def _named(call: Call, seen: set[Call]) -> Iterator[tuple[_Statement, str]]:
    """Yield the statements that give an app a name, with that name."""
    seen.add(call)
    module = call.function.module
    statement = module.statement(call.node)
    target = _target(statement, call.node)
    if target:
        yield _Statement(module.path, statement, module.place(statement)), target
    elif isinstance(statement, ast.Return) and _is_value(statement.value, call.node):
        for caller in call.function.callers:
            if caller not in seen and not TESTS.search(caller.function.path):
                yield from _named(caller, seen)


def _target(statement: ast.stmt, node: ast.expr) -> str:
    """Return the name that a statement gives to what a call makes."""
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or not _is_value(statement.value, node):
        return ""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return next((name_of(each) for each in targets if name_of(each)), "")


def _is_value(value: ast.expr | None, node: ast.expr) -> bool:
    if isinstance(value, ast.IfExp):
        return _is_value(value.body, node) or _is_value(value.orelse, node)
    return value is node


def behind(source: Source, node: ast.stmt, text: str) -> Edit:
    """Return the edit that puts a simple statement behind another, in a line of its own where that can be."""
    start, end = source.span(node)
    first = source.line_start(node.lineno)
    after = source.line_start((node.end_lineno or node.lineno) + 1)
    before, rest = source.text[first:start], source.text[end:after].strip()
    if before.strip() or rest.startswith(";"):
        return Edit(source.path, end, end, f"; {text}")
    if source.text[after - 1] not in "\r\n":
        return Edit(source.path, after, after, f"\n{before}{text}")
    return Edit(source.path, after, after, f"{before}{text}\n")
