"""`hardcoded-credentials`: a password, a key or a connection text is read from the environment.

Unsafe, for the app does not start where the variable is not set; that is said at once, by a KeyError. No value is
put into a message, a note or a new file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from ...audit.finding import Finding
from ...audit.model.code import Module
from ...audit.rules import dsn_text
from ...audit.rules.literals import dotted, text
from ..fixer import Change, Context, Edit, Fixer, Import, Left, NewFile
from ..layout import expression_at, quoted
from .environment import EXAMPLE, called, name_for, url_name

IN_FILE = (
    "it is in a file of git: take it out (git rm --cached), name it in .gitignore, and change it at its server"
)
FLASKS = "SECRET_KEY"
_LOG_INS = ("log-in is compared", "passwords of users")


class _Reading(NamedTuple):
    """A literal, and the variable that it would be read from."""

    finding: Finding
    module: Module
    node: ast.Constant
    name: str

    @property
    def value(self) -> str:
        """The literal's text."""
        return text(self.node) or ""

    @property
    def is_key(self) -> bool:
        """Whether it signs: then every place that has it needs the same, also when it is changed one day."""
        return "the key" in self.finding.message


def _fix(context: Context) -> Iterator[Change | Left]:
    groups: dict[tuple[str, str], list[_Reading]] = {}
    for finding in context.of("hardcoded-credentials"):
        module = context.module(finding.place.path)
        answer = _reading(module, finding)
        if isinstance(answer, str):
            yield Left(finding, answer)
        else:
            groups.setdefault((answer.value, "" if answer.is_key else answer.name), []).append(answer)
    values: dict[str, set[str]] = {}
    for group in groups.values():
        values.setdefault(_shared_name(group), set()).add(group[0].value)
    for group in groups.values():
        yield from _answers(context, group, len(values[_shared_name(group)]) > 1)


def _answers(context: Context, group: list[_Reading], is_taken: bool) -> Iterator[Change | Left]:
    """Yield what is done about the places that have a value.

    Args:
        is_taken: Whether another value would get the same variable.
    """
    name = _shared_name(group)
    elsewhere = _elsewhere(context, group) if group[0].is_key else ""
    if is_taken:
        yield from (Left(each.finding, f"different values would be read as {name}; name them by hand")
                    for each in group)  # fmt: skip
    elif elsewhere:
        yield from (Left(each.finding, f"the same key stands in {elsewhere} as well; read both from one variable")
                    for each in group)  # fmt: skip
    elif group[0].is_key:
        yield _change(context, group)
    else:
        yield from (_change(context, [each]) for each in group)


def _shared_name(group: list[_Reading]) -> str:
    """Return the variable of a value; Flask's own name where one of its places has that."""
    names = [each.name for each in group]
    return FLASKS if FLASKS in names else names[0]


def _elsewhere(context: Context, group: list[_Reading]) -> str:
    """Return a place with the same literal that is not one of the group; "" for none."""
    known = {id(each.node) for each in group}
    for module in context.project.modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and id(node) not in known and text(node) == group[0].value:
                return f"{module.path}:{node.lineno}"
    return ""


def _reading(module: Module | None, finding: Finding) -> _Reading | str:
    """Return what is to be read from where, or the reason why nothing is."""
    if module is None:
        return IN_FILE
    if any(words in finding.message for words in _LOG_INS):
        return "a log-in by a password in the code needs users with hashed passwords, not a variable"
    node = expression_at(module, finding.place)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value  # "text".encode()
    if not isinstance(node, ast.Constant):
        return "it is put together from several pieces; read the whole of it from the environment"
    if any(isinstance(each, ast.JoinedStr) for each in module.ancestors(node)):
        return "it stands inside of a longer text; read the whole of it from the environment"
    name = _name(module, node)
    if not name:
        return "what it is called says nothing; give it a variable of the environment by hand"
    if _is_written_to_environment(module, node):
        return "the code writes it into the environment; delete the line, and set it where the app runs"
    return _Reading(finding, module, node, name)


def _name(module: Module, node: ast.Constant) -> str:
    """Return the variable for a literal; "" when none can be made."""
    login = dsn_text.login(text(node) or "")
    if login is not None:
        return url_name(login.scheme)
    outer: ast.AST = node
    parent = module.parents.get(node)
    if isinstance(parent, ast.Attribute):  # "text".encode()
        outer = module.parents[parent]
        parent = module.parents.get(outer)
    given, owner, is_of_database = called(outer, module.parents)
    if not given and isinstance(parent, ast.Call):
        return _signing(parent)
    return name_for(given, owner, is_of_database)


def _signing(call: ast.Call) -> str:
    """Return the variable for the key that a call gets by position."""
    name = dotted(call.func)
    if name.endswith(("jwt.encode", "jwt.decode")):
        return "JWT_SECRET_KEY"
    return "SECRET_KEY" if name.endswith(("Serializer", "Signer")) else ""


def _is_written_to_environment(module: Module, node: ast.AST) -> bool:
    statement = module.statement(node)
    return isinstance(statement, ast.Assign) and any("environ" in dotted(each) for each in statement.targets)


def _change(context: Context, group: list[_Reading]) -> Change:
    """Read the value of these literals from the environment."""
    name = _shared_name(group)
    edits, imports = [], []
    for each in group:
        source = context.source(each.module.path)
        code = f"os.environ[{quoted(source, name)}]"
        if isinstance(each.node.value, bytes):
            code += ".encode()"
        edits.append(Edit(source.path, *source.span(each.node), code))
        imports.append(Import(source.path, "os"))
    return Change(
        tuple(each.finding for each in group), group[0].finding.place, f"{name} is read from the environment",
        tuple(dict.fromkeys(edits)), is_safe=False, imports=tuple(dict.fromkeys(imports)),
        files=(NewFile(EXAMPLE, (f"{name}=",)),),
        note=f"set {name} where the app runs, and change the value at its server: the old one stays in git",
    )  # fmt: skip


FIXER = Fixer(
    rules=("hardcoded-credentials",),
    title='A password, a key or a connection text becomes `os.environ["NAME"]`, with the name in `.env.example`.',
    stage=1,
    leaves_alone=(
        "Without `--unsafe-fixes`, all of them: the app does not start until the variables are set.",
        "Connection texts that are put together: f-strings, sums, `%`.",
        "Log-ins that are compared with a literal, and tables of users' passwords.",
        "Committed `.env` and settings files: what is in git has to be taken out of it, and changed.",
        "Different values that would get the same name, and literals without a telling name.",
    ),
    fix=_fix,
)
