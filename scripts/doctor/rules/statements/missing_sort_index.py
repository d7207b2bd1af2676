"""H504: a sort for a LIMIT without an index."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...target import Target
from .missing import found


def _check(target: Target) -> Iterator[Advice]:
    yield from found(target, RULE, "sort")


RULE = LiveRule(
    id="H504",
    name="missing-sort-index",
    finds="An ORDER BY with a LIMIT on a large table, without an index in that order.",
    why="All rows are read and sorted to return ten.",
    fix="Add the index that is written out, with CREATE INDEX CONCURRENTLY.",
    leaves_alone=(
        "Sorts of groups, joins of several tables' columns, and expressions.",
        "An order that an index has backwards, or whose first column is sorted already (PostgreSQL 13).",
        "Statements that are filtered by a column with an index.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
