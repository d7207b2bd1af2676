"""Where values stand in a statement: in a quoted string, or bare. Reads SQL as PostgreSQL's lexer does.

If this is wrong, a placeholder stands inside of quotes, and psycopg2 quotes it a second time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .literals import Item, Unreadable

_LITERAL_PREFIX = re.compile(r"(?:^|[^\w$])(?:[eExXbBnN]|[uU]&)$")


@dataclass(frozen=True)
class Group:
    """Items that one placeholder takes the place of: a bare value, or a quoted string with values in it.

    Attributes:
        first, last: Of the items, inclusive; the quotes are among them.
    """

    first: int
    last: int
    is_quoted: bool

    def inside(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return what the string is made of, without the quotes."""
        return items[self.first + 1 : self.last] if self.is_quoted else items[self.first : self.last + 1]


def groups(items: Sequence[Item]) -> list[Group]:
    """Return what has to be bound, in order.

    Raises:
        Unreadable: A value stands in a comment, in a quoted name, or in a string with escapes of its own.
    """
    text = "".join("\0" if item.value else item.char for item in items)
    found, at = [], 0
    while at < len(text):
        end = _token(text, at)
        if "\0" in text[at:end]:
            found.append(_group(text, at, end))
        at = end
    return found


def _token(text: str, at: int) -> int:
    """Return where the string, name, comment or character that begins here ends."""
    if text[at] == "'":
        return _closed(text, at, "'")
    if text[at] == '"':
        return _closed(text, at, '"')
    if text.startswith("--", at):
        end = text.find("\n", at)
        return end if end >= 0 else len(text)
    if text.startswith("/*", at):
        end = text.find("*/", at)
        return end + 2 if end >= 0 else len(text)
    dollar = re.compile(r"\$\w*\$").match(text, at)
    if dollar:
        end = text.find(dollar[0], dollar.end())
        return end + len(dollar[0]) if end >= 0 else len(text)
    return at + 1


def _closed(text: str, at: int, mark: str) -> int:
    end = text.find(mark, at + 1)
    while end >= 0 and text[end + 1 : end + 2] == mark:
        end = text.find(mark, end + 2)
    if end < 0:
        raise Unreadable("a quote of the statement is not closed")
    return end + 1


def _group(text: str, at: int, end: int) -> Group:
    if text[at] == "\0":
        if re.match(r"[\w$\0\"'.]", text[max(at - 1, 0) : at]) or re.match(r"[\w$\0\"'.(]", text[end : end + 1]):
            raise Unreadable("a value is part of a name")
        return Group(at, at, is_quoted=False)
    if text[at] != "'":
        raise Unreadable("a value stands in a comment, in a quoted name or in a $$ text")
    beside = (text[end : end + 1], text[max(at - 1, 0) : at])
    if _LITERAL_PREFIX.search(text[max(at - 3, 0) : at]) or "\0" in beside:
        raise Unreadable("a value stands in a string with a prefix, like E''")
    return Group(at, end - 1, is_quoted=True)
