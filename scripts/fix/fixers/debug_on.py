"""`debug-on`: a literal that turns debugging on becomes a question to the environment, which answers no."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ...audit.finding import Finding
from ...audit.model.code import Module
from ...audit.rules.flask_app import RUNS
from ...audit.rules.literals import dotted, name_of
from ..fixer import Change, Context, Edit, Fixer, Import, Left
from ..layout import expression_at, quoted
from ..source import Source

OFF = {"1": "0", "true": "false", "True": "False", "TRUE": "FALSE", "yes": "no", "on": "off"}
_LOOK_UP = re.compile(r"(environ\.get|getenv)$")


def _fix(context: Context) -> Iterator[Change | Left]:
    for finding in context.of("debug-on"):
        module = context.module(finding.place.path)
        if module is None:
            yield Left(finding, f"{finding.place.path} is no Python file; turn it off there")
            continue
        yield _answer(context, module, finding)


def _answer(context: Context, module: Module, finding: Finding) -> Change | Left:
    node = expression_at(module, finding.place)
    source = context.source(module.path)
    if isinstance(node, ast.Constant):
        return _literal(context, source, module, finding, node)
    look_up = _look_up(node)
    if look_up is not None:
        return _default(source, finding, look_up, node)
    if isinstance(node, ast.Call) and any(each.arg is None for each in node.keywords):
        return Left(finding, "debugging comes out of the ** arguments; take it out of that dict")
    if "sets FLASK_" in finding.message or "the code sets" in finding.message:
        return Left(finding, "the code writes the environment; delete the line, and set it where you develop")
    return Left(finding, "no literal stands here that could become a question to the environment")


def _literal(
    context: Context, source: Source, module: Module, finding: Finding, node: ast.Constant
) -> Change | Left:
    """Answer for a literal: `debug=True`, `DEBUG = True`."""
    if node.value == "development":
        return Left(finding, "ENV is a name, not a switch; Flask 2.3 took it away: delete the line")
    name = _bound_name(module, node)
    others = _other_uses(context, module, name) if name else []
    path = module.path
    asked = f"os.environ.get({quoted(source, 'FLASK_DEBUG')}) == {quoted(source, '1')}"
    note = f"{name} also decides in {others[0]}; it is off there too, unless FLASK_DEBUG=1" if others else ""
    return Change(
        (finding,), finding.place, "debugging only where FLASK_DEBUG=1 asks for it",
        (Edit(path, *source.span(node), asked),), not others, (Import(path, "os"),), note=note,
    )  # fmt: skip


def _bound_name(module: Module, node: ast.Constant) -> str:
    """Return the variable that a literal is given to; "" for an argument, an attribute or an element."""
    parent = module.parents.get(node)
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
        return parent.targets[0].id
    return ""


def _other_uses(context: Context, module: Module, name: str) -> list[str]:
    """Return the places where a variable decides something else than how the app is run."""
    readers = [module]
    if name.isupper():  # `settings.DEBUG`; in small letters `.debug` is a logger's
        readers += [each for each in context.project.modules if each is not module and name in each.mentions]
    return [f"{each.path}:{line}" for each in readers for line in _lines_beside_runs(each, name)]


def _lines_beside_runs(module: Module, name: str) -> list[int]:
    """Return the lines that read a name, calls that run an app aside."""
    found = []
    for node in ast.walk(module.tree):
        if not isinstance(node, (ast.Name, ast.Attribute)) or not isinstance(node.ctx, ast.Load):
            continue
        if name_of(node) == name:
            calls = [dotted(each.func) for each in module.ancestors(node) if isinstance(each, ast.Call)]
            if not any(each.endswith(".run") or each in RUNS for each in calls):
                found.append(node.lineno)
    return sorted(found)


def _look_up(node: ast.AST | None) -> ast.Call | None:
    """Return the look-up in the environment that an expression goes by, when it has a literal default."""
    if node is None:
        return None
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call) and _LOOK_UP.search(dotted(each.func))]
    if len(calls) == 1 and len(calls[0].args) == 2 and isinstance(calls[0].args[1], ast.Constant):
        return calls[0]
    return None


def _default(source: Source, finding: Finding, call: ast.Call, node: ast.AST | None) -> Change | Left:
    """Answer for `os.getenv("DEBUG", "1") == "1"`: the same question, and the other answer when nothing is set."""
    default = call.args[1]
    assert isinstance(default, ast.Constant)
    off = _off(default.value, node)
    if off is None:
        return Left(finding, f"{default.value!r} has no opposite that is known; make the default one that is off")
    text = quoted(source, off) if isinstance(off, str) else repr(off)
    edit = Edit(source.path, *source.span(default), text)
    return Change((finding,), finding.place, "debugging is off where the environment says nothing", (edit,))


def _off(value: object, node: ast.AST | None) -> str | bool | int | None:
    """Return the default that means no, by how the answer is read."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return 0
    if not isinstance(value, str):
        return None
    if isinstance(node, ast.Compare):
        return OFF.get(value)
    is_number = isinstance(node, ast.Call) and dotted(node.func) == "int"
    return "0" if is_number else ""  # any other text is true, "False" as well


FIXER = Fixer(
    rules=("debug-on",),
    title='A literal `debug=True` becomes `os.environ.get("FLASK_DEBUG") == "1"`; a default that is on goes off.',
    stage=2,
    leaves_alone=(
        "Deployment files that set `FLASK_DEBUG`, and code that writes the environment.",
        "`ENV = \"development\"`, arguments that come out of a dict, `DebuggedApplication`.",
        "Only with `--unsafe-fixes`: a variable that decides something besides debugging.",
    ),
    fix=_fix,
)  # fmt: skip
