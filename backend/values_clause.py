"""Finds out how a statement with placeholders takes many rows: a page at once, or one after the other.

Must not import Flask or a connection. If this is wrong, rows that depend on each other are sent as if they did
not, or the values of one row land in another place of the statement.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from psycopg2.extensions import encodings

from .errors import BatchError
from .sqlmask import mask

_PLACEHOLDER = re.compile(r"%(?:s|\()")
_VALUES = re.compile(r"\bvalues\s*(?P<open>\(|%s)", re.IGNORECASE)
# Rows of such an INSERT may depend on each other: within one statement they would not see each other.
_DEPENDENT = re.compile(r"\b(?:select|do\s+update)\b|;", re.IGNORECASE)
_RETURNING = re.compile(r"\breturning\b", re.IGNORECASE)


class Clause(NamedTuple):
    """A statement, cut where its rows go.

    Attributes:
        before, after: the SQL around the rows.
        template: what one row is; None for "as many values as the first row has".
        takes_pages: whether the rows of a page are one statement.
    """

    before: str
    template: str | None
    after: str
    takes_pages: bool

    def statement(self, cursor: Any, values: list[bytes]) -> bytes:
        """Return the text for a page of rows that are bound already."""
        if not self.takes_pages:
            return b"\n;".join(values)  # the statement may end in a comment
        encoding = encodings[cursor.connection.encoding]
        before, after = (part.replace("%%", "%").encode(encoding) for part in (self.before, self.after))
        return b"".join((before, b",".join(values), after))


def split(sql: Any) -> Clause:
    """Cut a statement at its rows.

    Raises:
        BatchError: it is no text, has no placeholder, or RETURNING where only row after row can be sent.
    """
    if not isinstance(sql, str):
        raise BatchError(f"the statement must be text, not {type(sql).__name__}")
    sql = sql.rstrip().rstrip(";")
    masked = mask(sql)
    if _PLACEHOLDER.search(masked) is None:
        raise BatchError(f"no %s or %(name)s in «{' '.join(sql.split())[:60]}»; it would do the same for each row")
    found = _VALUES.search(masked)
    if found is not None and found["open"] == "%s":
        return _explicit(sql, masked, found)
    end = _closing(masked, found.start("open")) if found is not None else 0
    if found is not None and end and _is_independent(masked, found, end):
        start = found.start("open")
        return Clause(sql[:start], sql[start:end], sql[end:], takes_pages=True)
    if _RETURNING.search(masked):
        raise BatchError("RETURNING in a statement that goes row by row; write VALUES %s, or use upsert_many")
    return Clause("", sql, "", takes_pages=False)


def _explicit(sql: str, masked: str, found: re.Match[str]) -> Clause:
    start, end = found.span("open")
    if len(_PLACEHOLDER.findall(masked)) > 1:
        raise BatchError("VALUES %s takes all of a row; no other %s can stand in the statement")
    return Clause(sql[:start], None, sql[end:], takes_pages=True)


def _is_independent(masked: str, found: re.Match[str], end: int) -> bool:
    start = found.start("open")
    is_insert = re.match(r"\s*insert\b", masked, re.IGNORECASE) is not None
    around = masked[:start] + masked[end:]
    return (
        is_insert
        and _PLACEHOLDER.search(around) is None
        and _DEPENDENT.search(masked) is None
        and re.match(r"\s*(?:\Z|on\b|returning\b)", masked[end:], re.IGNORECASE) is not None
    )


def _closing(masked: str, start: int) -> int:
    """Return the place after the parenthesis that closes the one at `start`; 0 when nothing does."""
    depth = 0
    for edge in re.finditer(r"[()]", masked[start:]):
        if edge[0] == "(":
            depth += 1
        elif depth == 1:
            return start + edge.end()
        else:
            depth -= 1
    return 0
