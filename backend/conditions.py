"""Reads conditions as EXPLAIN prints them: their parts, the columns in them, which column equals what.

PostgreSQL prints an expression in one fixed way (src/backend/utils/adt/ruleutils.c), and with VERBOSE every
column has its table's alias, so that this much can be read without a parser. Knows no plans and no catalog.
If this is wrong, an index that is there is not seen, or one that is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_REFERENCE = re.compile(rf"(?<![\w$\".])({_WORD})\.({_WORD})(?!\s*\(|[\w$])")
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_COMPARED = re.compile(r"\s(=|<|>|<=|>=)\s")
_CAST = re.compile(r"\(([^()]+)\)::(?:text|character varying)")


@dataclass(frozen=True)
class Condition:
    """One part of a conjunction.

    Attributes:
        references: pairs of alias and column.
    """

    text: str
    references: frozenset[tuple[str, str]]

    @property
    def aliases(self) -> set[str]:
        """Return the tables it is about."""
        return {alias for alias, _ in self.references}

    def columns_of(self, alias: str) -> set[str]:
        """Return a table's columns in it."""
        return {column for other, column in self.references if other == alias}

    def compared(self, alias: str, *operators: str) -> str | None:
        """Return the side of a comparison that is about this table alone, the other side being about others.

        Args:
            operators: those that count; by default all that an ordered index serves.
        """
        sides = _sides(self.text)
        if sides is None or (operators and sides[1] not in operators):
            return None
        for own, other in ((sides[0], sides[2]), (sides[2], sides[0])):
            is_other = alias not in {name for name, _ in _references(other)}
            is_value = not own.startswith(("ANY ", "ALL ", "ROW("))
            if {name for name, _ in _references(own)} == {alias} and is_other and is_value:
                return own
        return None


def conjuncts(text: str) -> list[Condition]:
    """Split a condition at the ANDs outside of parentheses."""
    text = _without_parentheses(text)
    parts = _split(text, " AND ")
    if len(parts) == 1:
        return [Condition(text, frozenset(_references(text)))]
    return [condition for part in parts for condition in conjuncts(part)]


def column_of(side: str) -> tuple[str, bool] | None:
    """Return the column that a side is, and whether it is cast to text; None for any other expression."""
    cast = _CAST.fullmatch(side)
    found = _REFERENCE.fullmatch(cast[1] if cast else side)
    return (_unquoted(found[2]), cast is not None) if found else None


def without_aliases(expression: str) -> str:
    """Return an expression as an index of the table spells it."""
    return _REFERENCE.sub(lambda found: found[2], expression)


def quoted_column(side: str) -> str:
    """Return the column of `column_of` as PostgreSQL quotes it."""
    cast = _CAST.fullmatch(side)
    return without_aliases(cast[1] if cast else side)


def _sides(text: str) -> tuple[str, str, str] | None:
    """Split a comparison; None when it is none."""
    blank = _blank(text)
    for found in _COMPARED.finditer(blank):
        if _depth(blank[: found.start()]) == 0:
            left, right = text[: found.start()], text[found.end() :]
            return _without_parentheses(left), found[1], _without_parentheses(right)
    return None


def _references(text: str) -> set[tuple[str, str]]:
    found = _REFERENCE.findall(_LITERAL.sub("''", text))
    return {(_unquoted(alias), _unquoted(column)) for alias, column in found}


def _split(text: str, word: str) -> list[str]:
    blank, parts, since, at = _blank(text), [], 0, 0
    while (at := blank.find(word, at)) >= 0:
        if _depth(blank[:at]) == 0:
            parts.append(text[since:at])
            since = at + len(word)
        at += len(word)
    return [*parts, text[since:]]


def _without_parentheses(text: str) -> str:
    text = text.strip()
    while text.startswith("(") and text.endswith(")"):
        blank = _blank(text)
        if any(_depth(blank[:at]) == 0 for at in range(1, len(blank))):
            return text
        text = text[1:-1].strip()
    return text


def _blank(text: str) -> str:
    """Return a text with what is quoted made unreadable, as long as it was."""
    return re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", lambda quoted: "_" * len(quoted[0]), text)


def _depth(text: str) -> int:
    return text.count("(") - text.count(")")


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
