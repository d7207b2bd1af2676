"""SQL with everything that is no code blanked out, so that words can be looked for and found where they stand.

Strings, quoted names, dollar quotes and comments keep their length and lose their content; quotes stay, so
that `"f"(1)` still reads as a call of something. An unfinished quote or comment reaches to the end.
Takes standard_conforming_strings for on, as it has been since PostgreSQL 9.1.
Knows nothing of connections. If this is wrong, a word in a literal is taken for SQL, or the reverse.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""(?P<string>[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)|'[^']*(?:'|\Z))
    |(?P<word>[^\W\d][\w$]*)
    |(?P<name>"[^"]*(?:"|\Z))
    |\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
    |--[^\r\n]*
    |(?P<comment>/\*)""",
    re.DOTALL | re.VERBOSE,
)
_EDGE = re.compile(r"/\*|\*/")


def mask(sql: str) -> str:
    """Return a text of the same length in which only code is left."""
    kept: list[str] = []
    since = 0
    while (found := _TOKEN.search(sql, since)) is not None:
        if found["word"]:  # read as a whole: a name may hold a $, and end in e
            kept.append(sql[since : found.end()])
            since = found.end()
            continue
        end = _comment_end(sql, found.end()) if found["comment"] else found.end()
        kept += (sql[since : found.start()], _blank(found, end - found.start()))
        since = end
    return "".join(kept) + sql[since:]


def _blank(found: re.Match[str], length: int) -> str:
    text = found["name"] or (found["string"] or "").lstrip("eE")
    if len(text) < 2 or text[-1] != text[0]:
        return " " * length  # a comment, a dollar quote, or one that does not end
    fill = "_" if found["name"] else " "
    return " " * (length - len(text)) + text[0] + fill * (len(text) - 2) + text[0]


def _comment_end(sql: str, start: int) -> int:
    depth = 1
    for edge in _EDGE.finditer(sql, start):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    return len(sql)
