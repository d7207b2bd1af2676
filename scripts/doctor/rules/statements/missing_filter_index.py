"""H502: rows looked up by columns that no index begins with."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...target import Target
from .missing import found


def _check(target: Target) -> Iterator[Advice]:
    yield from found(target, RULE, "filter")


RULE = LiveRule(
    id="H502",
    name="missing-filter-index",
    finds="A statement that looks rows up by columns of a large table that no index begins with.",
    why="The server reads the whole table for each call: no harm with a thousand rows, a core with a million.",
    fix="Add the index that is written out, with CREATE INDEX CONCURRENTLY.",
    leaves_alone=(
        "Tables of fewer than 1,000 rows; columns with 20 values or fewer.",
        "A statement of which another condition has an index already.",
        "Foreign keys without their index, which missing-foreign-key-index tells.",
        "What reads do not pay for: calls x saved cost against the rows that are written.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
