"""`random-secret-key`: the key that signs sessions is read from the environment, the same in every worker.

Unsafe, for the app does not start where the variable is not set.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ...audit.finding import Finding
from ...audit.model.code import Module
from ...audit.rules.literals import dotted, text
from ...audit.rules.random_secret_key import NAMES
from ..checks import calls
from ..fixer import Change, Context, Edit, Fixer, Import, Left, NewFile
from ..layout import expression_at, quoted
from .environment import EXAMPLE

_HARMLESS = re.compile(  # what may go with the random value
    r"(^|\.)(urandom|token_hex|token_bytes|token_urlsafe|uuid1|uuid4|randbytes|generate_key|getrandbits|get_random_bytes"
    r"|SystemRandom|str|hex|decode|b64encode|urlsafe_b64encode|hexlify|getenv|get|format|encode)$"
)
_LOOK_UP = re.compile(r"(environ\.get|getenv|environ)$")


def _fix(context: Context) -> Iterator[Change | Left]:
    for finding in context.of("random-secret-key"):
        module = context.module(finding.place.path)
        yield Left(finding, "no Python file") if module is None else _answer(context, module, finding)


def _answer(context: Context, module: Module, finding: Finding) -> Change | Left:
    node = expression_at(module, finding.place)
    if node is None:
        return Left(finding, "the expression that makes the key was not found")
    value = _value(module, node)
    strange = [name for each in ast.walk(value) if isinstance(each, ast.Call)
               if not _HARMLESS.search(name := dotted(each.func))]  # fmt: skip
    if strange:
        return Left(finding, f"the key goes through {strange[0]}(), which may do more than to make it")
    source = context.source(module.path)
    name = _read_name(value) or next(
        (each for each in NAMES if finding.message.startswith(f"{each} ")), "SECRET_KEY"
    )
    path = module.path
    return Change(
        (finding,), finding.place, f"{name} is read from the environment: the same key in every worker",
        (Edit(path, *source.span(value), f"os.environ[{quoted(source, name)}]"),), is_safe=False,
        imports=(Import(path, "os"),), files=(NewFile(EXAMPLE, (f"{name}=",)),),
        note=f"make {name} once: python -c 'import secrets; print(secrets.token_hex())'",
        replaces=tuple(calls(ast.Expression(value))),
    )  # fmt: skip


def _value(module: Module, node: ast.expr) -> ast.expr:
    """Return the whole value that an expression is a part of: what is assigned, or passed."""
    is_assigned = isinstance(module.statement(node), (ast.Assign, ast.AnnAssign))
    while isinstance(parent := module.parents.get(node), ast.expr):
        is_argument = isinstance(parent, ast.Call) and node in parent.args
        if isinstance(parent, (ast.Dict, ast.NamedExpr)):
            break
        if is_argument and not is_assigned and not _HARMLESS.search(dotted(parent)):
            break
        node = parent
    return node


def _read_name(value: ast.expr) -> str:
    """Return the variable that the code already asks for."""
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and _LOOK_UP.search(dotted(node.func)) and node.args:
            return text(node.args[0]) or ""
        if isinstance(node, ast.Subscript) and _LOOK_UP.search(dotted(node.value)):
            return text(node.slice) or ""
    return ""


FIXER = Fixer(
    rules=("random-secret-key",),
    title='A key that each process makes for itself becomes `os.environ["SECRET_KEY"]`.',
    stage=1,
    leaves_alone=(
        "Without `--unsafe-fixes`, all of them: the app does not start until the key is set.",
        "A key that other functions of the project have a part in.",
    ),
    fix=_fix,
)
