"""H503: a join by columns without an index."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...target import Target
from .missing import found


def _check(target: Target) -> Iterator[Advice]:
    yield from found(target, RULE, "join")


RULE = LiveRule(
    id="H503",
    name="missing-join-index",
    finds="A join whose larger side has no index that begins with the joined column.",
    why="Each row of the smaller side then costs a read of the larger table, or a hash of all of it.",
    fix="Add the index that is written out, with CREATE INDEX CONCURRENTLY.",
    leaves_alone=(
        "Joins by a foreign key, which missing-foreign-key-index tells.",
        "The smaller side of a join; tables of fewer than 1,000 rows.",
        "Joins of whole tables, which a hash does best: the planner is asked.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
