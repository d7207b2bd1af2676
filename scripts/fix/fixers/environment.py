"""Names for values that go to the environment, and the change that reads one there.

A name that two different values would get is given to none of them. If this is wrong, an app starts with another
service's password.
"""

from __future__ import annotations

import ast
import re

from ...audit.rules import secret_words
from ...audit.rules.literals import dotted, name_of, text

EXAMPLE = ".env.example"
_GENERIC = frozenset({
    "PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "PWD", "PW", "PSWD", "PSW", "SENHA", "CONTRASENA", "CLAVE", "MDP",
    "PASSWORT", "PAROLA", "SIFRE", "HASLO", "WACHTWOORD", "KENNWORT", "CONTRASEÑA",
})  # fmt: skip
_DATABASE = re.compile(
    r"(connect|pool|engine|database|dsn|conninfo|psycopg|postgres|(^|_|\.)(db|pg|sql))\w*$", re.I
)
_URLS = {"redis": "REDIS_URL", "rediss": "REDIS_URL", "mongodb": "MONGODB_URL", "amqp": "AMQP_URL",
         "amqps": "AMQP_URL", "smtp": "SMTP_URL", "smtps": "SMTP_URL"}  # fmt: skip


def url_name(scheme: str) -> str:
    """Return the variable that platforms keep a connection text of this kind in."""
    return _URLS.get(scheme, "DATABASE_URL")


def name_for(given: str, owner: str, is_of_database: bool) -> str:
    """Return the variable for a value that the code calls by a name; "" when the name says nothing.

    Args:
        given: What the code calls it: `db_password`, `secret_key`, `PASSWORD`.
        owner: What it belongs to: the function that it is passed to, the dict or object that it is put into.
        is_of_database: Whether it stands beside a host or a database.
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", given)
    name = re.sub(r"\W+", "_", name).strip("_").upper()
    if not name or (not name.isascii() and name not in _GENERIC):
        return ""
    if name in _GENERIC:
        return "DB_PASSWORD" if is_of_database or _DATABASE.search(owner) else ""
    if secret_words.kind(given) == "" or name[0].isdigit():
        return ""
    return name


def called(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> tuple[str, str, bool]:
    """Return what a literal is called, what it belongs to, and whether that is a database's log-in."""
    parent = parents.get(node)
    if isinstance(parent, ast.keyword):
        call = parents[parent]
        names = {each.arg or "" for each in call.keywords} if isinstance(call, ast.Call) else set()
        return parent.arg or "", dotted(call), _is_login(names)
    if isinstance(parent, ast.Dict):
        return _in_dict(node, parent, parents)
    if isinstance(parent, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and parent.value is node:
        target = parent.targets[0] if isinstance(parent, ast.Assign) else parent.target
        owner = dotted(target.value) if isinstance(target, (ast.Attribute, ast.Subscript)) else ""
        return name_of(target), owner, _is_beside_login(parent, parents)
    if isinstance(parent, ast.arguments):
        function = parents[parent]
        names = {each.arg for each in ast.walk(parent) if isinstance(each, ast.arg)}
        return _parameter(node, parent), getattr(function, "name", ""), _is_login(names)
    return "", "", False


def _in_dict(node: ast.AST, parent: ast.Dict, parents: dict[ast.AST, ast.AST]) -> tuple[str, str, bool]:
    pairs = zip(parent.keys, parent.values, strict=True)
    key = next((text(key) or "" for key, value in pairs if value is node), "")
    owner = parents.get(parent)
    name = name_of(owner.targets[0]) if isinstance(owner, ast.Assign) else ""
    return key, name, _is_login({text(each) or "" for each in parent.keys})


def _parameter(node: ast.AST, arguments: ast.arguments) -> str:
    """Return the parameter that a literal is the default of."""
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(positional), reversed(arguments.defaults), strict=False),
             *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]  # fmt: skip
    return next((argument.arg for argument, default in pairs if default is node), "")


def _is_beside_login(statement: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether variables for a host or a database are set in the same block."""
    body = getattr(parents.get(statement), "body", [])
    names = {name_of(target) for each in body if isinstance(each, ast.Assign) for target in each.targets}
    return _is_login(names)


def _is_login(names: set[str]) -> bool:
    """Whether names are those of a log-in to a database."""
    words = {part for name in names for part in re.split(r"[_\W]+", name.lower())}
    return bool(words & {"dbname", "database", "db", "dsn", "postgres", "pg", "pghost", "pguser"}) or (
        bool(words & {"host", "hostname", "server"}) and bool(words & {"user", "username"})
        and not words & {"mail", "smtp", "sender", "redis", "mqtt", "ftp", "ssh"}
    )  # fmt: skip
