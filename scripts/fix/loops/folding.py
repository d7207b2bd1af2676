"""Strings that are put together from constants, as Python would: `+`, `%`, `format`, f-strings, `join`, `sql.SQL`.

Only plain placeholders are filled in; nothing of the project is run. If this is wrong, a statement is announced
with another text than it is sent with, and is sent as before.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable

from .terms import constant, is_text

_PERCENT = re.compile(r"%(%|s|d)")
_MOST = 100  # of a number that a text is repeated by
_BRACES = re.compile(r"\{\{|\}\}|\{(\w*)\}")
_PLAIN: dict[str, Callable[[str], str]] = {
    "strip": str.strip, "lstrip": str.lstrip, "rstrip": str.rstrip, "lower": str.lower, "upper": str.upper,
}  # fmt: skip
_AROUND: dict[str, Callable[[str], str]] = {"SQL": str, "dedent": textwrap.dedent}


def folded(node: ast.expr) -> ast.expr:
    """Return a constant for an expression of constants; the expression itself for any other."""
    found = _number(node)
    if found is None:
        found = _folded(node)
    return node if found is None else constant(found)


def _number(node: ast.expr) -> int | str | None:
    """Return a length, or what small numbers and texts make by `-`, `+` and `*`."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "len" and len(node.args) == 1:
        inner = node.args[0]
        return len(inner.elts) if isinstance(inner, (ast.Tuple, ast.List)) else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = node.operand
        return -inner.value if isinstance(inner, ast.Constant) and type(inner.value) is int else None
    if not isinstance(node, ast.BinOp):
        return None
    sides = [each.value if isinstance(each, ast.Constant) else None for each in (node.left, node.right)]
    numbers = [each for each in sides if type(each) is int and abs(each) < _MOST]
    texts = [each for each in sides if isinstance(each, str)]
    if len(numbers) == 2 and isinstance(node.op, (ast.Add, ast.Sub)):
        return numbers[0] + numbers[1] if isinstance(node.op, ast.Add) else numbers[0] - numbers[1]
    if len(numbers) == len(texts) == 1 and isinstance(node.op, ast.Mult):
        return texts[0] * numbers[0]
    return None


def _folded(node: ast.expr) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return _joined(node)
    if isinstance(node, ast.BinOp):
        return _operated(node)
    if isinstance(node, ast.Call):
        return _called(node)
    return None


def _joined(node: ast.JoinedStr) -> str | None:
    made = ""
    for each in node.values:
        inner = each.value if isinstance(each, ast.FormattedValue) else each
        is_plain = not isinstance(each, ast.FormattedValue) or (each.conversion < 0 and each.format_spec is None)
        if not is_plain or not isinstance(inner, ast.Constant):
            return None
        made += str(inner.value)
    return made


def _operated(node: ast.BinOp) -> str | None:
    left = text(node.left)
    if left is None:
        return None
    if isinstance(node.op, ast.Add):
        right = text(node.right)
        return None if right is None else left + right
    if not isinstance(node.op, ast.Mod):
        return None
    given = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
    return _filled(_PERCENT, left, given, {"%%": "%"})


def _called(node: ast.Call) -> str | None:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    owner = text(node.func.value) if isinstance(node.func, ast.Attribute) else None
    first = text(node.args[0]) if node.args else None
    if owner is None:
        value = node.args[0].value if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) else None
        if name == "str" and isinstance(value, (int, str)):
            return str(value)
        return _AROUND[name](first) if name in _AROUND and first is not None else None
    if name in _PLAIN and not node.args:
        return _PLAIN[name](owner)
    if name == "format":
        return _formatted(owner, node)
    if name == "join" and node.args and isinstance(node.args[0], (ast.List, ast.Tuple)):
        parts = [text(each) for each in node.args[0].elts]
        return None if None in parts else owner.join(each for each in parts if each is not None)
    return None


def _formatted(owner: str, node: ast.Call) -> str | None:
    named = {each.arg: each.value for each in node.keywords}
    count = 0

    def fill(match: re.Match[str]) -> str:
        nonlocal count
        if match[1] is None:
            return match[0][0]
        if match[1] and not match[1].isdigit():
            return _shown(named[match[1]])
        count += 1
        return _shown(node.args[int(match[1]) if match[1] else count - 1])

    try:
        made = _BRACES.sub(fill, owner)
    except (KeyError, IndexError, ValueError):
        return None
    return None if re.search(r"\{[^}]*\}", _BRACES.sub("", owner)) else made


def _filled(pattern: re.Pattern[str], owner: str, given: list[ast.expr], plain: dict[str, str]) -> str | None:
    rest = iter(given)
    try:
        made = pattern.sub(lambda match: plain.get(match[0]) or _shown(next(rest)), owner)
    except (StopIteration, RuntimeError, ValueError):
        return None
    return made if next(rest, None) is None else None


def _shown(node: ast.expr) -> str:
    """Return a constant as it stands in a text; names of psycopg2.sql are quoted.

    Raises:
        ValueError: It is no constant.
    """
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Call) and len(node.args) == 1 and is_text(node.args[0]):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "Identifier":
            return '"' + str(getattr(node.args[0], "value", "")).replace('"', '""') + '"'
    raise ValueError


def text(node: ast.AST | None) -> str | None:
    """Return the string that a constant is."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None
