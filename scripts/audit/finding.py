"""What a rule says: one place in the code, in words, with the evidence for it.

A finding knows nothing of files or formats. Its order and its fields decide the output of every format, so two
runs over the same code have to make equal findings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Severity(IntEnum):
    """How bad it is in production; see docs/audit.md for what each stands for."""

    low = 1
    medium = 2
    high = 3
    critical = 4


class Confidence(IntEnum):
    """How sure the rule is that the code does what it says."""

    low = 1
    medium = 2
    high = 3


@dataclass(frozen=True, order=True)
class Place:
    """A stretch of a file.

    Attributes:
        path: Relative to the audited folder, with slashes; for a thing in a database, its name.
        line: From 1; 0 for what is in no file.
        col: From 1, as editors count.
        end_line: The last line, `line` or later.
        end_col: Behind the last character, from 1; 0 for the end of the line.
    """

    path: str
    line: int
    col: int = 1
    end_line: int = 0
    end_col: int = 0

    def __post_init__(self) -> None:
        if self.end_line < self.line:
            object.__setattr__(self, "end_line", self.line)

    @property
    def where(self) -> str:
        """Path and line as editors take them; of a thing in a database, its name."""
        return f"{self.path}:{self.line}" if self.line else self.path

    @property
    def exactly(self) -> str:
        """As `where`, with the column."""
        return f"{self.where}:{self.col}" if self.line else self.path


@dataclass(frozen=True, order=True)
class Evidence:
    """Another place that the finding rests on, and what is there: "rows come from this query"."""

    place: Place
    text: str


@dataclass(frozen=True)
class Finding:
    """One cause.

    Attributes:
        rule: The rule's stable ID, `H201`.
        name: Its slug, `n-plus-one`.
        place: Where it is to be mended.
        message: One sentence: what happens here, with the numbers and names that were found. No secret in it.
        fix: What to do here, in words; one or two sentences.
        evidence: What it rests on: the loop's header, the query behind the call, the route that gets here.
        more: The other places of the same cause, which are not counted again.
        routes: The routes that get here, as "GET /users/<int:id>"; sorted.
        gain: What mending it brings, in a few words with numbers, for the report; empty when there is no figure.
        fixable: Whether `harden fix` can rewrite it.
    """

    rule: str
    name: str
    place: Place
    message: str
    severity: Severity
    confidence: Confidence
    fix: str = ""
    evidence: tuple[Evidence, ...] = ()
    more: tuple[Place, ...] = ()
    routes: tuple[str, ...] = ()
    gain: str = ""
    fixable: bool = field(default=False)

    @property
    def remarks(self) -> tuple[tuple[str, str], ...]:
        """What is said below it: pairs of a word and a text, without the empty ones."""
        return tuple((word, text) for word, text in (("help", self.fix), ("gain", self.gain)) if text)

    @property
    def more_fields(self) -> dict[str, Any]:
        """What a document has of it besides the fields that every finding has."""
        return {}


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort by place, then by rule; equal ones once."""
    return sorted(dict.fromkeys(findings), key=lambda each: (each.place, each.rule, each.message))
