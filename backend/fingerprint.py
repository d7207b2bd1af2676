"""Which statement is this, whatever its values? As pg_stat_statements does it, from the text alone.

Literals, numbers and parameters become `?`, lists of them `(...)`, comments go, white space is one blank, and
what is not quoted is lower case but for the keywords at the head. A text is looked at once: what was worked
out is kept by the text's hash, never by the text, for a text may hold values.
Knows nothing of connections. If this is wrong, one query counts as many, or many as one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

LONGEST = 8192  # characters looked at; what comes after them does not tell statements apart
SHOWN = 2000  # characters kept of a normalised text
MOST_KNOWN = 2000


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, whatever its values.

    Attributes:
        id: 16 hexadecimal digits, the same in every process.
        text: the normalised text, at most 2,000 characters, without values.
        summary: what it does to which tables, such as `SELECT appointments`: for labels.
        kind: its first word in upper case.
    """

    id: str
    text: str
    summary: str
    kind: str


_NOISE = re.compile(
    r"""(?P<string>(?:\b[eEbBxXnN]|\b[uU]&)?'(?:[^'\\]|''|\\.)*(?:'|\Z)|\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z))
    |(?P<name>"[^"]*(?:"|\Z))
    |(?P<comment>--[^\r\n]*|/\*.*?(?:\*/|\Z))
    |(?P<param>%s|%\(\w+\)s|\$\d+)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<number>(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)""",
    re.DOTALL | re.VERBOSE,
)
_LIST = re.compile(r"\(\s*\?(?:\s*,\s*\?)+\s*\)|\(\s*\?\s*\)(?=\s*,\s*\(\s*\?)")
_ROWS = re.compile(r"(\((?:\.\.\.|\?)\))(?:\s*,\s*\((?:\.\.\.|\?)\))+")
_TABLES = re.compile(
    r'\b(?:from|join|into|update|table)\s+(?:only\s+)?((?:"[^"]*"|[\w$]+)(?:\.(?:"[^"]*"|[\w$]+))?)', re.IGNORECASE
)
_young: dict[int, Statement] = {}
_old: dict[int, Statement] = {}


def statement_of(sql: str | bytes) -> Statement:
    """Return which statement a text is."""
    global _young, _old
    key = hash(sql)
    found = _young.get(key)
    if found is not None:
        return found
    found = _old.get(key) or _worked_out(sql)
    if len(_young) >= MOST_KNOWN:
        _young, _old = {}, _young
    _young[key] = found
    return found


def _worked_out(sql: str | bytes) -> Statement:
    head = sql[:LONGEST]
    text = normalise(head.decode("utf-8", "replace") if isinstance(head, bytes) else head)
    kind = text.split(None, 1)[0].upper().strip("(;") if text.strip("(; ") else "EMPTY"
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return Statement(digest, text[:SHOWN], _summary(kind, text), kind)


def normalise(sql: str) -> str:
    """Return a statement's text without values, comments and differences of spelling."""
    text = " ".join(_NOISE.sub(_replaced, sql).split())
    return _ROWS.sub(r"\1", _LIST.sub("(...)", text))


def _replaced(found: re.Match[str]) -> str:
    if found["word"]:
        return found["word"].lower()
    if found["name"]:
        return found["name"]
    return " " if found["comment"] else "?"


def _summary(kind: str, text: str) -> str:
    tables = list(dict.fromkeys(table.replace('"', "") for table in _TABLES.findall(text)))
    return " ".join([kind, *tables[:3]])[:80]
