"""H505: jsonb, arrays or text search without a GIN index."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...target import Target
from .missing import found


def _check(target: Target) -> Iterator[Advice]:
    yield from found(target, RULE, "contains")


RULE = LiveRule(
    id="H505",
    name="missing-gin-index",
    finds="An operator on jsonb, an array or a tsvector (@>, ?, &&, @@) without a GIN index on the column.",
    why="A B-tree cannot serve them; the whole table is read, and each value unpacked.",
    fix="Add the GIN index that is written out; jsonb_path_ops is smaller where only @> asks.",
    leaves_alone=(
        "Columns that have a GIN index.",
        "Operators of B-trees: = and < on such columns.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
