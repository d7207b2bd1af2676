"""H533: a statement that sorts or hashes on disk."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...sizes import bytes_text
from ...target import Target
from .slow_statement import of

LEAST_BYTES = 16 * 1024**2  # of one call


def _check(target: Target) -> Iterator[Advice]:
    block = target.server.block
    for each in target.workload.statements:
        if each.calls and each.temp_blocks * block / each.calls >= LEAST_BYTES:
            written = bytes_text(each.temp_blocks * block / each.calls)
            memory = bytes_text(target.server.amount("work_mem"))
            yield of(RULE, each, f"writes {written} of temporary files each time; work_mem is {memory}",
                     Severity.low)  # fmt: skip


RULE = LiveRule(
    id="H533",
    name="spilling-statement",
    finds="A statement that writes 16 MB or more of temporary files in each call.",
    why="Sorts and hashes that do not fit work_mem go through the disk, several times slower.",
    fix="SET LOCAL work_mem for this statement's transaction; for all sessions it is multiplied by all of them.",
    leaves_alone=("Statements whose calls write less on average.",),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
