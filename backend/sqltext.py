"""Reads a SELECT as tokens: what is quoted, what is a comment, where parameters and `{holes}` stand.

A lexer, not a parser: enough to never mistake the inside of a literal for code. Follows PostgreSQL's scanner
(src/backend/parser/scan.l) for strings, dollar quotes, quoted names and nested comments.
Knows nothing of nodes or connections. If this is wrong, a brace in a literal becomes a sub-select.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .errors import NodeError

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n\r]*)
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
        if kind == "space" and tokens and tokens[-1].kind == "space":
            text = max(text, tokens.pop().text, key="\n".__eq__)
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
        return "space", "\n" if kind == "space" and "\n" in text else " "
    if kind == "percent":
        return "mark", _percent(found, sql)
    if text == "$" and sql[found.end() : found.end() + 1].isdigit():
        raise NodeError(f"$ and a number in «{excerpt(sql)}»: parameters of a nested query are written %(name)s")
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
    named = re.match(r"\([^()]*\)s\b", sql[found.end() :]) if found[0] == "%" else None
    if named is not None:
        raise NodeError(f"%{named[0]} in «{excerpt(sql)}»: a parameter's name is made of letters, digits and _")
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


def rendered(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield the texts to send, in order, with single spaces; holes must have been replaced.

    A parameter that is cast stands in parentheses, for -5::text is minus of a text; and it never touches a word or
    a literal, which would swallow it, as E%(x)s would.
    """
    last = Token("space", " ", 0)
    for place, token in enumerate(tokens):
        if token.kind == "space":
            if last.kind != "space":
                yield "\n" if _is_continued(last, token, tokens[place + 1 : place + 2]) else " "
        else:
            if "parameter" in (last.kind, token.kind) and not {last.kind, token.kind} & {"space", "mark"}:
                yield " "
            yield _sent(token, tokens[place + 1 : place + 4])
        last = token


def _is_continued(before: Token, space: Token, after: Sequence[Token]) -> bool:
    """Tell whether these are two parts of one literal, which a new line between them makes one."""
    return before.kind == "string" and "\n" in space.text and any(token.kind == "string" for token in after)


def _sent(token: Token, after: Sequence[Token]) -> str:
    if token.kind != "parameter":
        return token.text
    is_cast = "".join(each.text for each in after).strip().startswith("::")
    return f"(%({token.text})s)" if is_cast else f"%({token.text})s"
