"""H532: a statement that takes most of the server's time."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...target import Target
from .slow_statement import of

SHARE = 0.3  # of all time
LEAST_MS = 60_000.0  # in all: below, the server has nothing to do


def _check(target: Target) -> Iterator[Advice]:
    workload = target.workload
    for each in workload.statements:
        if each.total_ms >= LEAST_MS and each.total_ms >= workload.total_ms * SHARE:
            share = each.total_ms / workload.total_ms
            yield of(RULE, each, f"takes {share:.0%} of the server's time", Severity.medium)


RULE = LiveRule(
    id="H532",
    name="heavy-statement",
    finds="A statement that takes 30 % or more of the time of all statements, and a minute at least.",
    why="It may be quick and asked too often: a cache, a batch or one query for a loop saves more than any index.",
    fix="Ask it less often: scripts/harden audit finds the loop around it; a cache or a batch takes it out.",
    leaves_alone=("A server whose statements took less than a minute since the counters began.",),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
