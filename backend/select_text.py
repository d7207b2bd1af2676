"""A SELECT that is going to stand inside another statement: one, whole, and nothing that gets out of its place.

`COPY (...) TO STDOUT` and `SELECT row_to_json(r) FROM (...) r` put an app's SQL between parentheses. A semicolon
at the end, a comment after it, a second statement, a parenthesis too many: each would end that place early.
Values are no business of this module: they stay `%(name)s` here.
Must not import anything of ours but the errors. If this is wrong, a typing error runs as another statement.
"""

from __future__ import annotations

import re

from .errors import StreamError

_TOKEN = re.compile(
    r"""(?P<text>(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'|'[^']*'|"[^"]*")"""
    r"""|(?P<dollar>(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)"""
    r"""|(?P<comment>--[^\r\n]*)|(?P<deep>/\*)|(?P<sign>[;()])|(?P<open>['"])""",
    re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_FIRST_WORD = re.compile(r"[\s(]*([A-Za-z]+)")
READS = ("SELECT", "WITH", "VALUES", "TABLE")


def only_select(sql: str) -> str:
    """Return the text without a semicolon at its end, checked.

    Raises:
        StreamError: it is no SELECT, or more than one statement, or its quotes and parentheses do not close.
    """
    code, end = _scanned(sql)
    word = _FIRST_WORD.match(code)
    if word is None or word[1].upper() not in READS:
        begins = f"begins with {word[1].upper()}" if word else "is empty"
        raise StreamError(f"a stream reads rows, and this SQL {begins}; give one SELECT, WITH, VALUES or TABLE")
    return sql[:end]


def _scanned(sql: str) -> tuple[str, int]:
    """Return the text with comments and quotes blanked, and where its only statement ends."""
    kept: list[str] = []
    at = depth = 0
    end = -1
    while (token := _TOKEN.search(sql, at)) is not None:
        _refuse_more(sql[at : token.start()], end)
        kept += (sql[at : token.start()], token[0] if token["sign"] == "(" else " ")
        at = _comment_end(sql, token.end()) if token["deep"] else token.end()
        if token["open"]:
            raise StreamError(f"a {token[0]} in the SQL of a stream is never closed")
        if token["sign"] == ";":
            end = token.start() if end < 0 else end
        elif not token["comment"] and not token["deep"]:
            _refuse_more("x", end)
        depth += {"(": 1, ")": -1}.get(token["sign"] or "", 0)
        if depth < 0 or (depth and token["sign"] == ";"):
            break
    if depth:
        raise StreamError("the parentheses in the SQL of a stream do not match")
    _refuse_more(sql[at:], end)
    return "".join((*kept, sql[at:])), len(sql) if end < 0 else end


def _refuse_more(code: str, end: int) -> None:
    if end >= 0 and code.strip():
        raise StreamError("the SQL of a stream is more than one statement; give the SELECT alone")


def _comment_end(sql: str, start: int) -> int:
    """Return where a comment ends; they nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    raise StreamError("a /* in the SQL of a stream is never closed")
