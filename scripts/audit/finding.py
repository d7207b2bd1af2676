"""What a rule says: one place in the code, in words, with the evidence for it.

A finding knows nothing of files or formats. Its order and its fields decide the output of every format, so two
runs over the same code have to make equal findings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum


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
        path: Relative to the audited folder, with slashes.
        line: From 1.
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


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort by place, then by rule; equal ones once."""
    return sorted(dict.fromkeys(findings), key=lambda each: (each.place, each.rule, each.message))
