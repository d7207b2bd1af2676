"""H406: a secret key that each process makes for itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..evidence.nodes import nodes
from ..finding import Confidence, Finding, Place, Severity
from ..model.code import Module
from ..model.project import Project
from ..model.values import paths
from ..rule import Rule
from .app_settings import named
from .literals import bindings, dotted, name_of, stands_in

NAMES = ("SECRET_KEY", "JWT_SECRET_KEY", "WTF_CSRF_SECRET_KEY", "SECURITY_PASSWORD_SALT")
_RANDOM = re.compile(
    r"(^|\.)(urandom|token_hex|token_bytes|token_urlsafe|uuid1|uuid4|randbytes|generate_key|getrandbits)(\(\))?$"
    r"|(^|\.)(Fernet\.generate_key|get_random_bytes|SystemRandom)"
)


def _check(project: Project) -> Iterator[Finding]:
    found: dict[Place, Finding] = {}
    for module, name, value in _keys(project):
        source = next((node for node in ast.walk(value) if _is_random(node)), None)
        if source is not None:
            is_default = value is not source and stands_in(module, source)
            found.setdefault(module.place(source), _found(module, name, source, is_default))
    for setting in named(project, *NAMES):
        made = sorted(path for path in paths(setting.values) if _RANDOM.search(path))
        if made and not any(setting.place.path == each.path and setting.place.line == each.line for each in found):
            found[setting.place] = RULE.at(setting.place, _sentence(setting.name, made[0].removesuffix("()")))
    yield from found.values()


def _keys(project: Project) -> Iterator[tuple[Module, str, ast.expr]]:
    """Yield what is given to the name of a secret key, in a configuration or on the way to one."""
    for module in project.modules:
        for node in nodes(module, ast.Assign, ast.AnnAssign, ast.NamedExpr):
            pairs = [(name_of(target).upper(), value) for target, value in bindings(node)]
            yield from ((module, name, value) for name, value in pairs if name in NAMES)
        for call in nodes(module, ast.Call):
            yield from ((module, each.arg, each.value) for each in call.keywords if each.arg in NAMES)
    for setting in named(project, *NAMES):
        if setting.module and setting.node:
            yield setting.module, setting.name, setting.node


def _is_random(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and bool(_RANDOM.search(dotted(node.func)))


def _found(module: Module, name: str, source: ast.AST, is_default: bool) -> Finding:
    function = dotted(getattr(source, "func", None))
    if not is_default:
        return RULE.at(module.place(source), _sentence(name, function))
    message = f"{name} is {function}() where the environment says nothing: each process has its own then"
    return RULE.at(module.place(source), message, severity=Severity.low, confidence=Confidence.medium)


def _sentence(name: str, function: str) -> str:
    return f"{name} is made by {function}() in each process: sessions end at a restart and differ between workers"


RULE = Rule(
    id="H406",
    name="random-secret-key",
    finds="A secret key that is made at random when the app starts.",
    why="Each worker of a WSGI server makes its own key: a session signed by one is refused by the next, so that"
    " users seem to be logged out by chance, and by every restart and deploy.",
    fix="Make the key once, `python -c 'import secrets; print(secrets.token_hex())'`, and read it from the"
    " environment: `os.environ['SECRET_KEY']`.",
    leaves_alone=(
        "A key that is read from the environment or a file.",
        "Random values that are no key of the app.",
    ),
    severity=Severity.medium,
    check=_check,
    example="import os\n\nfrom flask import Flask\n\napp = Flask(__name__)\napp.secret_key = os.urandom(24)\n",
    instead="import os\n\nfrom flask import Flask\n\napp = Flask(__name__)\n"
    'app.secret_key = os.environ["SECRET_KEY"]\n',
)
