"""The variables that the app reads, and what .env files and compose files set them to.

Knows names and places. A value of a secret's name is dropped where it is read, so that it cannot get further.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.secret_words import is_secret_name

from .repository import Repository, Source, called

ENV_FILES = (
    ".env", ".env.example", ".env.sample", ".env.template", ".env.dist", ".flaskenv", "*.env", "env.example",
)  # fmt: skip
COMPOSE = ("docker-compose*.y*ml", "compose*.y*ml")
READERS = ("get", "getenv", "config", "env", "str", "require_env", "pop", "setdefault")
LINE = re.compile(
    r"^[ \t]*(?:export[ \t]+|-[ \t]*)?['\"]?([A-Za-z_]\w*)['\"]?[ \t]*(?:=|:[ \t])[ \t]*(.*?)[ \t]*$", re.MULTILINE
)


@dataclass(frozen=True)
class Variable:
    """A variable's value in a file, and where; `value` is "" for a secret."""

    value: str
    place: str


@dataclass(frozen=True)
class Read:
    """A variable that the code reads, and where; `default` is None where it must be set."""

    name: str
    place: str
    default: str | None


def set_variables(repository: Repository) -> dict[str, Variable]:
    """Return what files set variables to, `.env` first, then examples, then compose files."""
    found: dict[str, Variable] = {}
    for path in [*repository.named(*ENV_FILES), *repository.named(*COMPOSE)]:
        text = repository.read(path)
        for match in LINE.finditer(text):
            value = "" if is_secret_name(match[1]) else _plain(match[2])
            line = text.count("\n", 0, match.start(1)) + 1
            if value or is_secret_name(match[1]):
                found.setdefault(match[1], Variable(value, f"{path}:{line}"))
    return found


def read_variables(sources: list[Source]) -> list[Read]:
    """Return the variables that the code reads, each once, those without a default first."""
    found: dict[str, Read] = {}
    for source in sources:
        for read in _reads(source):
            known = found.get(read.name)
            if known is None or (known.default is not None and read.default is None):
                found[read.name] = read
    return sorted(found.values(), key=lambda read: (read.default is not None, read.name))


def read_of(node: ast.AST) -> tuple[str, ast.expr | None] | None:
    """Return the variable that an expression reads, and its default: os.environ["X"], os.getenv("X", "y")."""
    if isinstance(node, ast.Subscript) and _ends_in(node.value, "environ"):
        name = node.slice
        return (name.value, None) if isinstance(name, ast.Constant) and isinstance(name.value, str) else None
    if not isinstance(node, ast.Call) or not node.args or called(node) not in READERS:
        return None
    if isinstance(node.func, ast.Attribute) and not _is_environment(node.func):
        return None
    first = node.args[0]
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return None
    given = [keyword.value for keyword in node.keywords if keyword.arg == "default"]
    return first.value, (*node.args[1:2], *given, None)[0]


def _is_environment(function: ast.Attribute) -> bool:
    return _ends_in(function.value, "environ") or function.attr == "getenv" or _ends_in(function.value, "env")


def _ends_in(node: ast.AST, name: str) -> bool:
    return getattr(node, "attr", getattr(node, "id", None)) == name


def _reads(source: Source) -> Iterator[Read]:
    for node in source.nodes:
        read = read_of(node)
        if read is None or not re.fullmatch(r"[A-Z][A-Z0-9_]*", read[0]):
            continue
        name, default = read
        is_call = isinstance(node, ast.Call) and called(node) in ("get", "getenv", "setdefault", "pop")
        text = str(default.value) if isinstance(default, ast.Constant) else ("" if default or is_call else None)
        yield Read(name, source.at(node), "" if text is not None and is_secret_name(name) else text)


def _plain(text: str) -> str:
    """Return a value without quotes and trailing comment; ${NAME:-default} is its default."""
    quoted = re.match(r"(['\"])(.*?)\1\s*(?:#.*)?$", text)
    text = quoted[2] if quoted else re.sub(r"\s+#.*$", "", text)
    text = re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", text)
    return "" if "$" in text else text
