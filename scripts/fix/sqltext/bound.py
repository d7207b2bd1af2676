"""The values that are given beside a statement: what is bound where a text was put in.

A string in quotes stays the very string that it was, `str(x)` or an f-string. If this is wrong, a number is
compared with a text, which PostgreSQL refuses.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from .literals import Item, Unreadable, Value

NUMBERS = ("int", "float", "len")
_ESCAPES = ("escape", "quote", "adapt", "getquoted", "mogrify", "QuotedString", "AsIs", "escape_string", "Literal",
            "Identifier", "quote_ident")  # fmt: skip


def escapes(node: ast.AST) -> bool:
    """Whether an expression escapes or quotes a value for SQL by hand."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            name = each.func.attr if isinstance(each.func, ast.Attribute) else getattr(each.func, "id", "")
            if name in _ESCAPES or (name == "replace" and each.args and _is_mark(each.args[0])):
                return True
    return False


def _is_mark(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in ("'", "\\", "%", '"')


def unescaped(value: Value) -> Value:
    """Return a value without `.replace("'", "''")`, which binding makes wrong.

    Raises:
        Unreadable: It is escaped in another way.
    """
    node = value.node
    if not escapes(node):
        return value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
        given = [each.value for each in node.args if isinstance(each, ast.Constant)]
        if given == ["'", "''"] and not escapes(node.func.value):
            inner = node.func.value
            return Value(_own(value.text.rpartition(".replace(")[0], inner), inner, "text")
    raise Unreadable("a value is escaped by hand; bind it as it is, without that")


def is_number(value: Value) -> bool:
    """Whether a value can be read to be a number."""
    node = value.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in NUMBERS
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def is_text(value: Value) -> bool:
    """Whether a value can be read to be a string: by `+`, `str()`, an f-string, or an element of a form."""
    node = value.node
    if value.kind == "text" or isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id == "str"
    if isinstance(node, ast.Subscript):
        return ast.unparse(node.value) in ("request.form", "request.args", "request.values", "request.cookies")
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def bare(value: Value) -> str:
    """Return what is bound for a value without quotes around it; `str(x)` of a number is the number."""
    node = value.node
    if value.kind == "number":
        return value.text if is_number(value) else f"int({value.text})"
    is_str = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str"
    if is_str and isinstance(node, ast.Call) and len(node.args) == 1:
        return _own(value.text.removeprefix("str(").removesuffix(")"), node.args[0])
    return value.text


def _own(text: str, node: ast.expr) -> str:
    """Return an expression as it is written, when `text` is that; else as Python writes it."""
    try:
        is_same = ast.dump(ast.parse(text.strip(), mode="eval").body) == ast.dump(node)
    except SyntaxError:
        is_same = False
    return text.strip() if is_same else ast.unparse(node)


def quoted(inside: Sequence[Item], mark: str, is_known: Callable[[Value], bool]) -> str:
    """Return what is bound for a quoted string with values in it.

    Args:
        mark: The quote that an f-string gets, when the values have none of these.
        is_known: Whether a value is a string for certain.

    Raises:
        Unreadable: An f-string of it would have quotes in its fields that older versions of Python refuse.
    """
    values = [unescaped(item.value) if item.value else None for item in inside]
    first = values[0]
    if len(values) == 1 and first is not None:
        if first.kind == "number":
            return f"str({bare(first)})"
        return first.text if is_text(first) or is_known(first) else f"str({first.text})"
    return _composed(inside, values, mark)


def _composed(inside: Sequence[Item], values: Sequence[Value | None], mark: str) -> str:
    text, at = "", 0
    while at < len(inside):
        value, char = values[at], inside[at].char
        if value is not None:
            text += "{" + bare(value) + "}"
        elif char == "'":
            text, at = text + char, at + 1  # SQL doubles it
        else:
            text += char * 2 if char in "{}" else char
        at += 1
    if any(ord(char) < 32 or char == "\\" for char in text):
        raise Unreadable("the string around a value has lines or backslashes")
    mark = mark if mark not in text else "'" if mark == '"' else '"'
    if mark in text or any(value and value.text.startswith("{") for value in values):
        raise Unreadable("the string around a value would need both kinds of quotes")
    return f"f{mark}{text}{mark}"


def elements(value: Value) -> str:
    """Return the tuple that is bound for a list that is joined by commas; "" when it is none."""
    node = value.node
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join"):
        return ""
    separator = node.func.value
    if not isinstance(separator, ast.Constant) or str(separator.value).strip() != "," or len(node.args) != 1:
        return ""
    given = node.args[0]
    if isinstance(given, ast.Name):
        return f"tuple({given.id})"
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Name) and given.func.id == "map":
        is_str = len(given.args) == 2 and isinstance(given.args[0], ast.Name) and given.args[0].id == "str"
        return f"tuple({ast.unparse(given.args[1])})" if is_str else ""
    if isinstance(given, (ast.GeneratorExp, ast.ListComp)) and len(given.generators) == 1:
        loop = given.generators[0]
        if ast.unparse(given.elt) == f"str({ast.unparse(loop.target)})" and not loop.ifs and not loop.is_async:
            return f"tuple({ast.unparse(loop.iter)})"
    return ""
