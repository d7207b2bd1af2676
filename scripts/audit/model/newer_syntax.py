"""Source for a newer Python than the one that runs the audit, so that one line does not hide a whole file.

Since Python 3.12 an f-string may have its own quotes in its braces: `f"{row["id"]}"`. An older Python's parser is
given the other quotes there, by which no line or column moves. Type parameters and the like are not rewritten,
only named in the reason. If this is wrong, a file is said to be broken that runs, which the report shows.
"""

from __future__ import annotations

import re
import sys

_START = re.compile(r"(?<![\w\"'])(?:f|fr|rf)([\"'])(?!\1\1)", re.IGNORECASE)
_OTHER = {'"': "'", "'": '"'}
_NEWER = {
    re.compile(r"^\s*type\s+\w+(\[.*\])?\s*=", re.MULTILINE): (3, 12),
    re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+\w+\[", re.MULTILINE): (3, 12),
    re.compile(r"^\s*except\s*\*", re.MULTILINE): (3, 11),
}


def requoted(text: str) -> str:
    """Return source with the quotes inside of f-strings' braces changed where they are those around the string."""
    return "\n".join(_requoted(line) for line in text.split("\n")) if sys.version_info < (3, 12) else text


def _requoted(line: str) -> str:
    made = list(line)
    match = _START.search(line)
    while match:
        end = _inside(made, match.end(), match[1])
        match = _START.search(line, end)
    return "".join(made)


def _inside(made: list[str], start: int, quote: str) -> int:
    """Change the quotes in one f-string's braces; return where it ends."""
    depth, at = 0, start
    while at < len(made):
        each = made[at]
        if each == "\\" or (depth == 0 and each in "{}" and made[at + 1 : at + 2] == [each]):
            at += 1
        elif each in "{}":
            depth = max(depth + (1 if each == "{" else -1), 0)
        elif each == quote and depth:
            made[at] = _OTHER[quote]
        elif each == quote:
            return at + 1
        at += 1
    return at


def newer_needed(text: str) -> str:
    """Return, as the end of a reason, that source is for a newer Python than this one; "" when nothing says so."""
    found = [version for pattern, version in _NEWER.items() if pattern.search(text)]
    if requoted(text) != text:
        found.append((3, 12))
    newest = max(found, default=(3, 0))
    if newest <= sys.version_info[:2]:
        return ""
    wanted, own = (".".join(map(str, each)) for each in (newest, sys.version_info[:2]))
    return f" (this is Python {wanted}; the audit runs on {own}: run it with Python {wanted} or newer)"
