"""Finds secrets among a module's literals: by the text, by the name they are given, by what it meets.

Each literal is found once, by the surest sign. Names decide only together with what is around them: a keyword
`password` counts in a call that connects, not in one that makes a form.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from ..evidence.nodes import nodes
from ..model.code import Module
from . import dsn_text, secret_shapes, secret_words
from .literals import bindings, dotted, is_prose, name_of, stands_in, text

_CONNECTS = re.compile(r"(connect|pool|engine|redis|client|url\.create|database|dsn|conninfo|db|auth)\w*$", re.I)
_DATABASE_WORDS = frozenset({
    "host", "hostname", "server", "dbname", "database", "db", "user", "port", "dsn", "db_name", "dbport",
    "db_host",
})  # fmt: skip
_CONFIGURES = re.compile(r"(config|conf|environ|settings|db|database|params|credentials|pg|postgres\w*)$", re.I)
_SIGNERS = re.compile(r"(^|\.)(\w*Serializer|TimestampSigner|Signer|Fernet|hmac\.new)$")
_SETTINGS_BASES = ("BaseSettings", "Settings")
_MADE_UP = re.compile(r"(^|\.)(jwt|jose)\.(encode|decode)$|(^|\.)(pyjwt|jwt_lib)\.(encode|decode)$", re.IGNORECASE)


_TELLING = (
    ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.Call, ast.Dict, ast.Compare, ast.FunctionDef,
    ast.AsyncFunctionDef,
)  # fmt: skip


class Secret(NamedTuple):
    """A secret in the code.

    Attributes:
        node: The literal.
        kind: "login" for one to a server, "password", "key", "comparison", "token" for a third party's.
        what: What it is, for people; never its value.
        is_remote: Whether it opens a host that others can reach.
    """

    node: ast.AST
    kind: str
    what: str
    is_remote: bool = False


def secrets(module: Module) -> list[Secret]:
    """Return the secrets of a module in the order of the source, each literal once."""
    found: dict[tuple[int, int], Secret] = {}
    for secret in _all(module):
        key = (getattr(secret.node, "lineno", 0), getattr(secret.node, "col_offset", 0))
        if key not in found and not _is_harmless(module, secret.node):
            found[key] = secret
    return [found[key] for key in sorted(found)]


def _is_harmless(module: Module, node: ast.AST) -> bool:
    return is_prose(module, node) or stands_in(module, node) or _is_of_settings(module, node)


def _is_of_settings(module: Module, node: ast.AST) -> bool:
    """Whether it is a field of a class that reads the environment by itself, as pydantic's settings do."""
    for parent in module.ancestors(node):
        if isinstance(parent, ast.FunctionDef):
            return False
        if isinstance(parent, ast.ClassDef):
            return any(dotted(base).endswith(_SETTINGS_BASES) for base in parent.bases)
    return False


def _all(module: Module) -> Iterator[Secret]:
    """Yield what any sign says, the surest signs first."""
    sums = nodes(module, ast.BinOp)
    inner = {id(each.left) for each in sums}  # of a sum of many, only the whole is looked at
    for literal in (
        *nodes(module, ast.Constant, ast.JoinedStr),
        *(each for each in sums if id(each) not in inner),
    ):
        yield from _by_text(module, literal)
    for node in nodes(module, *_TELLING):
        for target, value in bindings(node):
            yield from _bound(module, target, value)
        if isinstance(node, ast.Call):
            yield from _passed(node)
        elif isinstance(node, ast.Dict):
            yield from _in_dict(module, node)
        elif isinstance(node, ast.Compare):
            yield from _compared(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _by_default(node)


def _by_text(module: Module, node: ast.AST) -> Iterator[Secret]:
    """Yield a literal that shows what it is by itself."""
    value = text(node)
    if value is None or len(value) < 12:
        return
    login, shape = dsn_text.login(value), secret_shapes.shape(value)
    if not (login or shape) or isinstance(module.parents.get(node), (ast.JoinedStr, ast.BinOp)):
        return
    if login:
        where = f"{login.host} (a host that others can reach)" if login.is_remote else login.host or "a database"
        yield Secret(node, "login", f"the password of {login.scheme} at {where}", login.is_remote)
    if shape:
        yield Secret(node, "token", shape)


def _bound(module: Module, target: ast.AST, value: ast.expr) -> Iterator[Secret]:
    """Yield a literal that is given a telling name."""
    name, literal = name_of(target), text(value)
    if isinstance(value, ast.Dict) and re.search(r"passwords$|credentials$", name, re.IGNORECASE):
        yield from _passwords(value, name)
    if literal is None:
        return
    kind = secret_words.kind(name)
    if kind == secret_words.PASSWORD:
        if _names_a_field(name, literal) or not _is_configuration(target, name):
            return
        if secret_words.is_password(literal):
            yield Secret(value, "password", f"the value of {name}")
    else:
        yield from _key(value, name, literal, kind)


def _is_configuration(target: ast.AST, name: str) -> bool:
    """Whether an element belongs to a configuration: `app.config["DB_PASSWORD"]`, not `form["password"]`."""
    if not isinstance(target, ast.Subscript):
        return True
    return name.isupper() or bool(_CONFIGURES.search(dotted(target.value)))


def _names_a_field(name: str, value: str) -> bool:
    """Whether a constant is the name of a field: `PASSWORD = "password"`."""
    if re.sub(r"\W|_", "", value).lower() == name.replace("_", "").lower():
        return "_" in value or "_" not in name
    return value.lower().replace("_", "") in name.lower().replace("_", "") and "_" not in name.strip("_")


def _key(node: ast.AST, name: str, value: str, kind: str) -> Iterator[Secret]:
    if kind == secret_words.KEY and secret_words.is_key(value):
        yield Secret(node, "key", f"the key {name}")
    elif kind == secret_words.THIRD_PARTY and secret_words.is_random(value):
        yield Secret(node, "token", f"the key {name} of another service")


def _passwords(node: ast.Dict, name: str) -> Iterator[Secret]:
    """Yield the passwords of a table of users, the first for all."""
    for value in node.values:
        literal = text(value)
        if literal is not None and secret_words.is_password(literal):
            yield Secret(value, "comparison", f"passwords of users in {name}")
            return


def _passed(call: ast.Call) -> Iterator[Secret]:
    """Yield literals that are passed as a password or a key."""
    function = dotted(call.func)
    names = {keyword.arg for keyword in call.keywords if keyword.arg}
    connects = bool(_CONNECTS.search(function)) or bool(names & _DATABASE_WORDS)
    for keyword in call.keywords:
        literal = text(keyword.value)
        if keyword.arg is None or literal is None:
            continue
        kind = secret_words.kind(keyword.arg)
        if kind != secret_words.PASSWORD:
            yield from _key(keyword.value, keyword.arg, literal, kind)
        elif (connects or keyword.arg.isupper()) and secret_words.is_password(literal):
            yield Secret(keyword.value, "password", f"the password that {function or 'this call'}() gets")
    yield from _signed(call, function)


def _signed(call: ast.Call, function: str) -> Iterator[Secret]:
    """Yield the literal keys of what signs and encrypts, and of a log-in at a mail server."""
    position = 1 if _MADE_UP.search(function) else 0 if _SIGNERS.search(function) else None
    if position is not None:
        by_name = next((each.value for each in call.keywords if each.arg in ("key", "secret_key")), None)
        node = by_name or next(iter(call.args[position : position + 1]), None)
        literal = text(node)
        if node is not None and literal and secret_words.is_key(literal):
            yield Secret(node, "key", f"the key of {function}()")
    if function.endswith(".login") and len(call.args) == 2:
        user, password = text(call.args[0]), text(call.args[1])
        if user and "@" in user and password and secret_words.is_password(password):
            yield Secret(call.args[1], "password", f"the password that {function}() gets")


def _in_dict(module: Module, node: ast.Dict) -> Iterator[Secret]:
    """Yield the passwords and keys of a dict; a password counts beside a host or a database."""
    keys = [text(key) or "" for key in node.keys]
    if not any(secret_words.kind(name) for name in keys):
        return
    owner = module.parents.get(node)
    named = isinstance(owner, ast.Assign) and any(_CONFIGURES.search(name_of(each)) for each in owner.targets)
    of_database = named or len({key.lower() for key in keys} & _DATABASE_WORDS) > 1
    for name, value in zip(keys, node.values, strict=True):
        literal = text(value)
        if literal is None:
            continue
        kind = secret_words.kind(name)
        if kind == secret_words.PASSWORD and secret_words.is_password(literal) and (of_database or name.isupper()):
            yield Secret(value, "password", f"the value of {name!r}")
        elif kind != secret_words.PASSWORD and (kind != secret_words.KEY or name.isupper() or named):
            yield from _key(value, name, literal, kind)


def _compared(node: ast.Compare) -> Iterator[Secret]:
    """Yield a literal that a password is compared with: whoever reads the code can log in."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        return
    for one, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
        literal = text(one)
        if literal and secret_words.is_password(literal) and _is_entered(other) and literal.lower() != "password":
            yield Secret(one, "comparison", "the password that a log-in is compared with")


def _is_entered(node: ast.AST) -> bool:
    """Whether an expression is what somebody typed as a password."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "strip", "lower"):
            return any(secret_words.kind(text(each) or "") == secret_words.PASSWORD for each in node.args[:1]) or (
                node.func.attr != "get" and _is_entered(node.func.value)
            )
        return False
    if isinstance(node, ast.Attribute) and node.attr == "data":
        return _is_entered(node.value)
    return secret_words.kind(name_of(node)) == secret_words.PASSWORD


def _by_default(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Secret]:
    """Yield literals that are a parameter's default."""
    positional = [*node.args.posonlyargs, *node.args.args]
    names = {argument.arg.lower() for argument in [*positional, *node.args.kwonlyargs]}
    connects = bool(names & _DATABASE_WORDS or _CONNECTS.search(node.name))
    pairs = [*zip(reversed(positional), reversed(node.args.defaults), strict=False),
             *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]  # fmt: skip
    for argument, default in pairs:
        literal = text(default)
        if default is None or literal is None:
            continue
        kind = secret_words.kind(argument.arg)
        if kind == secret_words.PASSWORD and connects and secret_words.is_password(literal):
            yield Secret(default, "password", f"the default of the parameter {argument.arg}")
        elif kind == secret_words.KEY:
            yield from _key(default, argument.arg, literal, kind)
