"""String literals to the character: what each one stands for, and where it is written.

The tree does not say where the parts of an f-string are (before Python 3.12), nor where one of several literals in
a row ends, so the text itself is read. `read` holds what it finds against the tree, and gives up when they differ:
a wrong offset would put a placeholder in the middle of a word.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..source import Source

_OPENING = re.compile(r"(?P<prefix>[rRbBuUfF]{0,2})(?P<mark>'''|\"\"\"|'|\")")
_GAP = re.compile(r"(?:\s|\\\r?\n)*")
_ESCAPE = re.compile(
    r"\\(?:\r\n|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|.)", re.DOTALL
)


class Unreadable(Exception):
    """A text is not put together in a way that is known here; its message is the reason, in a line."""


@dataclass(frozen=True)
class Value:
    """What fills a place of a text.

    Attributes:
        text: As written in the source.
        node: Its tree; of an f-string's field, positions in it are those within the field.
        kind: "any"; "text" when it can only be a string, since it is added to one; "number" for `%d`.
    """

    text: str
    node: ast.expr
    kind: str = "any"


@dataclass(frozen=True)
class Item:
    """A character of a text, or a value in it.

    Attributes:
        char: The character; "" for a value.
        start, end: Where it is written, in characters of the file.
        value: What fills this place.
        tail: What has to follow the placeholder that takes a value's place: the literal's end, and the next one's
            beginning.
    """

    char: str
    start: int
    end: int
    value: Value | None = None
    tail: str = ""


@dataclass(frozen=True)
class Literal:
    """One literal: `start` to `end` with prefix and quotes, `inner` to `outer` without them."""

    prefix: str
    mark: str
    start: int
    inner: int
    outer: int
    end: int
    items: tuple[Item, ...]

    @property
    def is_formatted(self) -> bool:
        """Whether it is an f-string."""
        return "f" in self.prefix.lower()


def read(source: Source, node: ast.expr) -> list[Literal]:
    """Return the literals that a constant or an f-string is written as, in order.

    Raises:
        Unreadable: It is not made of plain literals, or has fields with a format.
    """
    start, end = source.span(node)
    found, at = [], start
    while at < end:
        literal = _literal(source.text, at, end)
        found.append(literal)
        gap = _GAP.match(source.text, literal.end, end)
        at = gap.end() if gap else end
    if _shape(node) != [_own_shape(item) for each in found for item in each.items]:
        raise Unreadable("its literal is written in a way that is not understood")
    return found


def _shape(node: ast.expr) -> list[str]:
    values = node.values if isinstance(node, ast.JoinedStr) else [node]
    made: list[str] = []
    for each in values:
        if isinstance(each, ast.FormattedValue):
            made.append(ast.dump(each.value))
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            made.extend(each.value)
    return made


def _own_shape(item: Item) -> str:
    return ast.dump(item.value.node) if item.value else item.char


def _literal(text: str, start: int, end: int) -> Literal:
    opening = _OPENING.match(text, start, end)
    if opening is None or "b" in opening["prefix"].lower():
        raise Unreadable("a comment stands between its literals")
    inner, mark = opening.end(), opening["mark"]
    outer = text.find(mark, inner, end)
    while outer >= 0 and not _is_whole(text[start : outer + len(mark)]):
        outer = text.find(mark, outer + 1, end)
    if outer < 0:
        raise Unreadable("its literal is written in a way that is not understood")
    prefix = opening["prefix"]
    items = tuple(_items(text, inner, outer, prefix.lower()))
    return Literal(prefix, mark, start, inner, outer, outer + len(mark), items)


def _is_whole(text: str) -> bool:
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return False
    return isinstance(node, (ast.Constant, ast.JoinedStr))


def _items(text: str, at: int, end: int, prefix: str) -> Iterator[Item]:
    while at < end:
        item = _item(text, at, end, prefix)
        if item.char or item.value:
            yield item
        at = item.end


def _item(text: str, at: int, end: int, prefix: str) -> Item:
    if "f" in prefix and text[at] in "{}":
        return Item(text[at], at, at + 2) if text[at + 1] == text[at] else _field(text, at, end)
    if text.startswith("\r\n", at):
        return Item("\n", at, at + 2)
    escape = None if "r" in prefix else _ESCAPE.match(text, at, end)
    if escape is None:
        return Item("\n" if text[at] == "\r" else text[at], at, at + 1)
    if escape[0][1] in "\r\n":
        return Item("", at, escape.end())
    char = str(ast.literal_eval(f'"{escape[0]}"'))
    return Item(char, at, at + 2 if len(char) > 1 else escape.end()) if len(char) == 1 else Item("\\", at, at + 1)


def _field(text: str, at: int, end: int) -> Item:
    close = text.find("}", at, end)
    while close >= 0:
        inside = text[at + 1 : close]
        try:
            node = ast.parse(f"({inside})", mode="eval").body
            return Item("", at, close + 1, Value(inside.strip(), node))
        except (SyntaxError, ValueError):
            close = text.find("}", close + 1, end)
    raise Unreadable("a field has a format (`:`, `!` or `=`), so that another text is made of the value")
