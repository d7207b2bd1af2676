"""H402: a literal that turns Flask's debug mode on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..evidence import evidence
from ..evidence.deployment import Setting as Variable
from ..evidence.purpose import is_for_development
from ..finding import Confidence, Finding, Place, Severity
from ..model.code import Call, Module
from ..model.project import Project
from ..model.values import NOTHING, Values, constants, paths
from ..rule import Rule
from . import app_settings
from .app_settings import Setting, is_on
from .flask_app import runs
from .literals import bindings, dotted, name_of, text

NAMES = ("DEBUG", "FLASK_DEBUG", "USE_DEBUGGER", "PROPAGATE_DEBUG")
ENVIRONMENT = ("FLASK_DEBUG", "FLASK_ENV")
_DEVELOPMENT_CLASS = re.compile(r"dev|test|local|debug|ci$|staging", re.IGNORECASE)
_READS_ENVIRONMENT = re.compile(r"environ|getenv|argv|\bargs\b|config|settings|\benv\b|platform|\bENV|_dev|DEV\b")
_ONLY_LOCAL = re.compile(r"(^|/)(\.env|\.flaskenv|[^/]*compose[^/]*\.ya?ml)$")


def _check(project: Project) -> Iterator[Finding]:
    has_server = bool(evidence(project).servers)
    for call in runs(project):
        if not (is_for_development(call.function.path) and has_server):
            yield from _run(project, call, has_server)
    settings = app_settings.named(project, *NAMES, "ENV")
    yield from {found.place: found for setting in settings for found in _setting(setting)}.values()
    for call in project.calls():
        if call.target in ("werkzeug.debug.DebuggedApplication", "werkzeug.DebuggedApplication"):
            yield RULE.at(call.place, "DebuggedApplication puts Werkzeug's debugger before the app")
        if call.target == "flask_script.Server" and is_on(call.keywords.get("use_debugger", NOTHING)):
            yield RULE.at(call.place, _sentence("use_debugger is on in the manager's server"))
    yield from _environment_in_code(project)
    yield from _deployed(project)


def _run(project: Project, call: Call, has_server: bool) -> Iterator[Finding]:
    """Yield the literal that makes `app.run` debug."""
    found = _debug_argument(call)
    module = call.function.module
    if found is None or _is_conditional(module, call.node):
        return
    node, values, name = found
    severity = Severity.high if has_server else Severity.critical
    if is_on(values):
        message = _sentence(f"{name} is on in {dotted(getattr(call.node, 'func', None))}()")
        yield RULE.at(_literal(project, module, node), message, severity=severity)
    elif _default_is_on(node):
        message = _sentence(f"{name} is on wherever the environment says nothing")
        yield RULE.at(module.place(node), message, severity=Severity.medium, confidence=Confidence.medium)


def _debug_argument(call: Call) -> tuple[ast.expr, Values, str] | None:
    """Return the argument of a run that turns debugging on, its values and its name."""
    if not isinstance(call.node, ast.Call):
        return None
    for keyword in call.node.keywords:
        if keyword.arg in ("debug", "use_debugger"):
            return keyword.value, call.keywords.get(keyword.arg, NOTHING) or _of(keyword.value), keyword.arg
    if is_on(call.keywords.get("debug", NOTHING)):
        return call.node, call.keywords["debug"], "debug"  # from a dict, `app.run(**options)`
    position = {"werkzeug.serving.run_simple": 4, "flask_socketio.SocketIO().run": -1}.get(call.target, 2)
    if 0 <= position < len(call.node.args):
        node = call.node.args[position]
        return node, call.arguments[position] or _of(node), "debug"
    return None


def _of(node: ast.expr) -> Values:
    return app_settings.constant(node)


def _sentence(what: str) -> str:
    return f"{what}: an error shows its code, and Werkzeug's console runs whatever a visitor types"


def _is_conditional(module: Module, node: ast.AST) -> bool:
    """Whether it happens only under a condition that asks the environment or the command line."""
    child = node
    for parent in module.ancestors(node):
        if isinstance(parent, ast.If) and child is not parent.test:
            test = "\n".join(module.lines[parent.test.lineno - 1 : parent.test.end_lineno])
            if "__name__" not in test and _READS_ENVIRONMENT.search(test):
                return True
        child = parent
    return False


def _literal(project: Project, module: Module, node: ast.expr) -> Place:
    """Return where the literal itself stands, when a name is passed that is bound once."""
    name = name_of(node)
    if isinstance(node, ast.Constant) or not name:
        return module.place(node)
    modules = [module] if isinstance(node, ast.Name) else project.modules
    found = [each.place(value) for each in modules for statement in ast.walk(each.tree)
             for target, value in bindings(statement)
             if name_of(target) == name and isinstance(value, ast.Constant)]  # fmt: skip
    return found[0] if len(found) == 1 else module.place(node)


def _default_is_on(node: ast.expr) -> bool:
    """Whether an environment variable that is not set leaves debugging on: `os.getenv("DEBUG", "1") == "1"`."""
    if isinstance(node, ast.Compare) and len(node.comparators) == 1 and isinstance(node.ops[0], ast.Eq):
        default = _default(node.left)
        same = default is not None and default == text(node.comparators[0])
        return same and str(default).lower() not in ("0", "false")
    default = _default(node.args[0]) if _is_bool(node) and isinstance(node, ast.Call) else _default(node)
    return default is not None and default.lower() in ("1", "true", "yes", "on")


def _is_bool(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) in ("bool", "int") and len(node.args) == 1


def _default(node: ast.expr) -> str | None:
    """Return the default of a look-up in the environment, as text."""
    if not isinstance(node, ast.Call):
        return None
    name = dotted(node.func)
    if name.endswith((".lower", ".strip")) and isinstance(node.func, ast.Attribute):
        return _default(node.func.value)
    if len(node.args) < 2 or not (name.endswith("getenv") or name.endswith("environ.get")):
        return None
    value = node.args[1]
    return str(value.value) if isinstance(value, ast.Constant) else None


def _setting(setting: Setting) -> Iterator[Finding]:
    """Yield a configuration that turns debugging on."""
    if setting.owner and _DEVELOPMENT_CLASS.search(setting.owner) and setting.is_conditional:
        return
    if setting.module and setting.node and _is_conditional(setting.module, setting.node):
        return
    if setting.is_conditional and is_for_development(setting.place.path):
        return
    if _is_debugging(setting.name, setting.values):
        where = f" of {setting.owner}" if setting.owner else ""
        message = _sentence(f"{setting.name}{where} is on in the configuration that the app loads")
        yield RULE.at(setting.place, message)
    elif setting.node is not None and setting.name != "ENV" and _default_is_on(setting.node):
        message = _sentence(f"{setting.name} is on wherever the environment says nothing")
        yield RULE.at(setting.place, message, severity=Severity.medium, confidence=Confidence.medium)


def _environment_in_code(project: Project) -> Iterator[Finding]:
    """Yield `os.environ["FLASK_ENV"] = "development"`."""
    for store in project.stores():
        module = store.function.module
        if store.name not in ENVIRONMENT or "os.environ" not in paths(store.owner):
            continue
        if is_for_development(module.path):
            continue
        if _is_debugging(store.name, store.values) and not _is_conditional(module, store.node):
            yield RULE.at(module.place(store.node), _sentence(f"the code sets {store.name} for debugging"))


def _is_debugging(name: str, values: Values) -> bool:
    return "development" in set(constants(values)) if name.endswith("ENV") else is_on(values)


def _deployed(project: Project) -> Iterator[Finding]:
    """Yield deployment files that set the environment for debugging, or start with `--debug`."""
    deployment = evidence(project)
    servers = {start.place.path for start in deployment.starts if start.is_production}
    for variable in deployment.settings:
        if _is_debug_variable(variable) and not _is_beside(servers, variable.place.path):
            message = _sentence(f"{variable.place.path} sets {variable.name}")
            yield RULE.at(variable.place, message, severity=Severity.high, confidence=Confidence.medium)
    for start in deployment.starts:
        is_debug = start.server == "flask" and re.search(r"\s--debug\b", start.text)
        if is_debug and not _is_beside(servers, start.place.path):
            yield RULE.at(start.place, _sentence(f"`{start.text}`"))


def _is_beside(servers: set[str], path: str) -> bool:
    """Whether a file is a developer's: others start a server, and this compose or environment file does not."""
    return bool(servers) and path not in servers and bool(_ONLY_LOCAL.search(path))


def _is_debug_variable(variable: Variable) -> bool:
    if variable.name == "FLASK_ENV":
        return variable.value.strip().lower() == "development"
    return variable.name == "FLASK_DEBUG" and variable.value.strip().lower() in ("1", "true", "on", "yes")


RULE = Rule(
    id="H402",
    name="debug-on",
    finds="A literal that turns debug mode on: in code, in the configuration it loads, or in deployment files.",
    why="With debug on, each error page shows source, local variables and settings, and its console runs Python on"
    " the server for anybody who gets past a PIN made of guessable parts. The reloader starts everything twice.",
    fix="Take the literal out: debug is off by default. Developers run `flask run --debug`.",
    leaves_alone=(
        "`debug=False`, and a value that the environment gives and that is off by default.",
        "A configuration class for development or tests that is one of several.",
        "What only happens under a condition that asks the environment; files whose names say development.",
    ),
    severity=Severity.critical,
    check=_check,
    example="from flask import Flask\n\napp = Flask(__name__)\n\n"
    'if __name__ == "__main__":\n    app.run(debug=True)\n',
    instead='from flask import Flask\n\napp = Flask(__name__)\n\nif __name__ == "__main__":\n    app.run()\n',
)
