"""Turns a text of the code into SQL that PostgreSQL's parser takes: placeholders become `$1`, holes become names.

A hole is judged by what stands before it: a name or a value is put in where one is due, nothing where a whole
clause may come. If that guess is wrong, a statement is not parsed, and only its words are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..model.values import Hole, Text

HOLE = re.compile(r"hole_\d+_")
CLAUSE_HOLE = "/* clause */"  # stands where a hole may bring a whole clause
_PLACEHOLDER = re.compile(
    r"%%|%\((?P<name>[^)]*)\)[sbt]?|%[sbtdif](?![a-zA-Z])"
    r"|(?<![\w?])\?(?=\s*(?:[,);]|$|\s(?:and|or|limit|offset|order)\b))",
    re.IGNORECASE,
)
_NAMED = re.compile(r"(?<![:\w]):([a-zA-Z_]\w*)")
_LIST = re.compile(r"\b(IN|VALUES)\s*(\$\d+|hole_\d+_)", re.IGNORECASE)
_TYPED = re.compile(r"\b(INTERVAL|DATE|TIMESTAMP|TIME)\s+\$\d+", re.IGNORECASE)
_VALUE_DUE = re.compile(
    r"(?:[=<>~|+*/%,(.\"-]|\b(?:from|join|into|update|table|index|view|sequence|exists|only|schema|database|role|user|select"
    r"|distinct|where|and|or|not|on|by|set|like|ilike|in|between|limit|offset|having|when|then|else|case|is|as|values|all|any"
    r"|interval|date|timestamp|using|returning|union|except|intersect|column|add|next|first|call|execute))\s*$",
    re.IGNORECASE,
)
_SORTED = re.compile(r"order\s+by\s+[\w.\"]+(?:\s*,\s*[\w.\"]+)*$", re.IGNORECASE)
_QUERY_DUE = re.compile(r"\b(union|all|except|intersect)\s*$", re.IGNORECASE)


def candidates(text: Text) -> Iterator[str]:
    """Yield ways to read a text as SQL, the likeliest first."""
    first = _placeholders(_filled(text))
    yield first
    named = _NAMED.sub("$1", first)
    if named != first:
        yield named
    if not text.holes:
        return
    yield _placeholders(text.with_holes(f" {CLAUSE_HOLE} "))
    yield _placeholders(text.with_holes("NULL"))
    yield _placeholders(text.with_holes(" hole_0_ "))


def _filled(text: Text) -> str:
    made = ""
    for count, piece in enumerate(text.pieces):
        if isinstance(piece, str):
            made += piece
        else:
            made += _filling(made, count, piece)
    return made


def _filling(before: str, count: int, hole: Hole) -> str:
    """Return what stands for one hole behind the text so far."""
    if before.count("'") % 2 or before[-1:].isalnum() or before[-1:] in "_$%":
        return f"hole_{count}_"
    tail = before[-200:].rstrip()
    if not tail:
        return "SELECT 1 " if hole.is_number else CLAUSE_HOLE
    if _QUERY_DUE.search(tail) and not hole.is_number:
        return "SELECT hole_0_ "
    if _SORTED.search(tail):
        return " /* direction */ "
    return f"hole_{count}_" if _VALUE_DUE.search(tail) else f" {CLAUSE_HOLE} "


def _placeholders(sql: str) -> str:
    counts: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        name = match["name"] or f" {len(counts)}"
        return f"${counts.setdefault(name, len(counts) + 1)}"

    made = _PLACEHOLDER.sub(number, sql)
    made = _TYPED.sub(r"\1 '1'", made)
    return _LIST.sub(r"\1 (\2)", made)
