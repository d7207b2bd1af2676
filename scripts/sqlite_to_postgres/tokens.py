"""SQLite's SQL in tokens: enough to find a column's COLLATE or CHECK, and to rewrite a short expression.

SQLite keeps the text of each CREATE; its PRAGMAs leave out checks, collations and DEFERRABLE, so the text
is read here. If this is wrong, a constraint gets lost without a word: every part that is not understood
must be said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?(?:\*/|$))
      | (?P<blob>[xX]'[0-9a-fA-F]*')
      | (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<word>[^\W\d][\w$]*)
      | (?P<sign>\|\||==|!=|<>|<=|>=|<<|>>|->>|->|.)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One token: its kind is blob, string, quoted, number, word or sign."""

    kind: str
    text: str

    @property
    def upper(self) -> str:
        """Return the text to compare with keywords; a quoted name is never one."""
        return self.text.upper() if self.kind in ("word", "sign") else ""

    @property
    def name(self) -> str:
        """Return the name it spells, without quotes."""
        if self.kind not in ("quoted", "string"):
            return self.text
        closing = self.text[-1]
        return self.text[1:-1].replace(closing * 2, closing)


def tokenize(text: str) -> list[Token]:
    """Split SQL into tokens; spaces and comments are left out."""
    found = ((match.lastgroup or "", match.group()) for match in _TOKEN.finditer(text))
    return [Token(kind, part) for kind, part in found if kind != "space"]


def body(tokens: Sequence[Token]) -> tuple[list[Token], list[Token]]:
    """Return what stands in the first parentheses, and what follows them."""
    start = next((place for place, token in enumerate(tokens) if token.text == "("), len(tokens))
    end = closing(tokens, start)
    return list(tokens[start + 1 : end]), list(tokens[end + 1 :])


def closing(tokens: Sequence[Token], start: int) -> int:
    """Return the place of the parenthesis that closes the one at `start`."""
    depth = 0
    for place in range(start, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[place].text, 0)
        if not depth:
            return place
    return len(tokens)


def parts(tokens: Sequence[Token]) -> list[list[Token]]:
    """Split at the commas that no parenthesis encloses."""
    found: list[list[Token]] = [[]]
    for depth, token in levels(tokens):
        if token.text == "," and not depth:
            found.append([])
        else:
            found[-1].append(token)
    return [part for part in found if part]


def levels(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """Yield each token with the number of parentheses around it; a parenthesis counts itself."""
    depth = 0
    for token in tokens:
        depth += token.text == "("
        yield depth, token
        depth -= token.text == ")"


def enclosed_after(tokens: Sequence[Token], keyword: str) -> list[list[Token]]:
    """Return what stands in parentheses after each outer `keyword`, as in CHECK (...)."""
    found = []
    for place, (depth, token) in enumerate(levels(tokens)):
        following = place + 1 < len(tokens) and tokens[place + 1].text == "("
        if not depth and token.upper == keyword and following:
            found.append(list(tokens[place + 2 : closing(tokens, place + 1)]))
    return found


def word_after(tokens: Sequence[Token], keyword: str) -> str:
    """Return the name after the first outer `keyword`, as in COLLATE nocase; or nothing."""
    for place, (depth, token) in enumerate(levels(tokens[:-1])):
        if not depth and token.upper == keyword:
            return tokens[place + 1].name
    return ""
