"""Which statement from which line: worked out once a process, and found again by three numbers.

A line is kept by the hash of its text, never by the text, for a text may hold values; at most four thousand are.
Knows nothing of requests. If this is wrong, one line's queries are counted as another's.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

from psycopg2.sql import SQL, Composed, Identifier, Placeholder

from .callsite import site_of_code
from .fingerprint import LONGEST, Statement, statement_of

MOST_KNOWN = 4096
_known: dict[tuple[int, int, int], Line] = {}


class Call(tuple[str, Any]):
    """A query that is no plain `execute`: the cursor's method, and its statement or what it was called with."""

    __slots__ = ()


class Line:
    """One statement from one line of the app.

    Attributes:
        code, instruction: the line; an instruction below zero is that of a call which sends pages.
        method: the cursor's method.
        statement: what is run, without its values.
        site: the line as text.
        place: the same for all texts that differ in their values alone.
    """

    __slots__ = ("code", "instruction", "method", "place", "site", "statement")

    def __init__(self, statement: Statement, code: CodeType, instruction: int, method: str) -> None:
        self.statement, self.code, self.instruction, self.method = statement, code, instruction, method
        self.site = site_of_code(code, instruction)
        self.place = hash((statement.id, method, id(code), instruction))  # the code is kept, so its id is its own


def line_of(query: Any, code: CodeType, instruction: int) -> Line:
    """Return the line of a query, as the app gave it."""
    key = hash(query if query.__class__ is str else key_of(query)), id(code), instruction
    line = _known.get(key)
    if line is None:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        text, method = text_of(query)
        line = _known[key] = Line(statement_of(text), code, instruction, method)
    return line


def key_of(query: Any) -> Any:
    """Return what tells one statement from another."""
    if isinstance(query, (str, bytes)):
        return query if len(query) <= LONGEST else query[:LONGEST]
    if isinstance(query, Call):
        return query[0], key_of(query[1])
    return rendered(query)


def text_of(query: Any) -> tuple[str | bytes, str]:
    """Return a statement's text and the cursor's method."""
    if isinstance(query, Call):
        return text_of(query[1])[0], query[0]
    key = key_of(query)
    return (key if isinstance(key, (str, bytes)) else str(key)), "execute"


def rendered(query: Any) -> str:
    """Return the text of what psycopg2.sql composed, without its values and without a connection."""
    if isinstance(query, Composed):
        return "".join(map(rendered, query.seq))[:LONGEST]
    if isinstance(query, SQL):
        return query.string
    if isinstance(query, Identifier):
        return ".".join('"' + name.replace('"', '""') + '"' for name in query.strings)
    return "%s" if isinstance(query, Placeholder) else "?"
