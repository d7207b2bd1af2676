"""H506: LIKE without an index that serves it."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...target import Target
from .missing import found


def _check(target: Target) -> Iterator[Advice]:
    yield from found(target, RULE, "pattern")


RULE = LiveRule(
    id="H506",
    name="missing-pattern-index",
    finds="A LIKE or ILIKE on a large table without an index that can serve it.",
    why="An ordinary B-tree serves LIKE only in the C collation, and never a pattern that begins with %.",
    fix="text_pattern_ops for a literal that begins the value, else a trigram index by pg_trgm.",
    leaves_alone=(
        "Columns with a trigram index; literals that a text_pattern_ops or C index serves.",
        "Patterns on expressions.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
