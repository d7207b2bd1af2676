"""Reads a SELECT as tokens: what is quoted, what is a comment, where parameters and `{holes}` stand.

A lexer, not a parser: enough to never mistake the inside of a literal for code. Follows PostgreSQL's scanner
(src/backend/parser/scan.l) for strings, dollar quotes, quoted names and nested comments.
Knows nothing of nodes or connections. If this is wrong, a brace in a literal becomes a sub-select.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .errors import NodeError

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*)
    |(?P<comment>/\*)
    |(?P<string>[eE]'(?:[^'\\]|\\.|'')*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'
        |\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    |(?P<name>(?:[uU]&)?"(?:[^"]|"")*")
    |(?P<parameter>%\((?P<of>\w+)\)s)
    |(?P<percent>%%?)
    |\{(?P<hole>[A-Za-z_]\w*)\}
    |(?P<word>[^\W\d][\w$]*)
    |(?P<number>\d[\w.]*|\.\d[\w.]*)
    |(?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_PERCENT_IN_QUOTES = re.compile(r"%%|%(?:\((?P<of>\w+)\)s)?")
_DEPTHS = {"(": 1, "[": 1, ")": -1, "]": -1}


class Token(NamedTuple):
    """A piece of SQL.

    Attributes:
        kind: space, string, name (in quotes), word, number, parameter, hole or mark (any other character).
        text: as it is to be sent; of a parameter or a hole its name.
        depth: how many parentheses and brackets it stands in.
    """

    kind: str
    text: str
    depth: int

    def is_word(self, *words: str) -> bool:
        """Tell whether it is one of these words, given in lower case."""
        return self.kind == "word" and self.text.lower() in words

    def is_mark(self, *marks: str) -> bool:
        """Tell whether it is one of these characters."""
        return self.kind == "mark" and self.text in marks


def scan(sql: str) -> list[Token]:
    """Split SQL into tokens; spaces and comments become one space each, and percent signs what psycopg2 wants.

    Raises:
        NodeError: a quote or comment that does not end, a parenthesis without its partner, `%s`, a parameter
            inside a quoted literal.
    """
    tokens: list[Token] = []
    depth = at = 0
    while at < len(sql):
        found = _TOKEN.match(sql, at)
        assert found is not None  # the last alternative takes anything
        at = _comment_end(sql, found.end()) if found["comment"] else found.end()
        kind, text = _classified(found, sql)
        step = _DEPTHS.get(text, 0) if kind == "mark" else 0
        depth += min(step, 0)
        if depth < 0:
            raise NodeError(f"{text!r} closes nothing in «{excerpt(sql)}»")
        tokens.append(Token(kind, text, depth))
        depth += max(step, 0)
    if depth:
        raise NodeError(f"a parenthesis is not closed in «{excerpt(sql)}»")
    return tokens


def excerpt(sql: str) -> str:
    """Return the beginning of a statement, on one line, for messages."""
    text = " ".join(sql.split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def code(tokens: list[Token]) -> list[Token]:
    """Return the tokens without spaces."""
    return [token for token in tokens if token.kind != "space"]


def _classified(found: re.Match[str], sql: str) -> tuple[str, str]:
    kind, text = found.lastgroup or "", found[0]
    if found["string"] is not None or found["name"] is not None:
        return "string" if found["string"] is not None else "name", _percents_doubled(text, sql)
    if found["parameter"] is not None:
        return "parameter", found["of"]
    if kind == "hole":
        return kind, found["hole"]
    if kind in ("space", "comment"):
        return "space", " "
    if kind == "percent":
        return "mark", _percent(found, sql)
    if text in "'\"":
        raise NodeError(f"a quote is not closed in «{excerpt(sql)}»")
    return kind, text


def _percents_doubled(text: str, sql: str) -> str:
    if "%" not in text:
        return text

    def doubled(found: re.Match[str]) -> str:
        if found["of"] is not None:
            raise NodeError(
                f"%({found['of']})s stands inside quotes in «{excerpt(sql)}», where its value could end the "
                "literal; write it outside, as in %(days)s * interval '1 day'"
            )
        return "%%"

    return _PERCENT_IN_QUOTES.sub(doubled, text)


def _percent(found: re.Match[str], sql: str) -> str:
    """Return a percent sign as psycopg2 wants it; `%%` is one already, a single one is taken for an operator."""
    rest = sql[found.end() : found.end() + 2]
    if found[0] == "%" and re.match(r"s\b", rest):
        raise NodeError(f"%s in «{excerpt(sql)}»: parameters of a nested query have names, write %(name)s")
    unfinished = re.match(r"\(\w+\)", sql[found.end() :])
    if found[0] == "%" and unfinished is not None:
        raise NodeError(
            f"%{unfinished[0]} in «{excerpt(sql)}» is not a parameter: write %{unfinished[0]}s, or % and a space"
        )
    return "%%"


def _comment_end(sql: str, start: int) -> int:
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    raise NodeError(f"a comment is not closed in «{excerpt(sql)}»")


def rendered(tokens: list[Token]) -> Iterator[str]:
    """Yield the texts to send, in order, with single spaces; holes must have been replaced."""
    was_space = True
    for token in tokens:
        is_space = token.kind == "space"
        if not (is_space and was_space):
            yield f"%({token.text})s" if token.kind == "parameter" else token.text
        was_space = is_space
