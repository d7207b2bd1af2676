"""H701: a role whose statements may run for ever."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...target import Target
from .timeouts import without


def _check(target: Target) -> Iterator[Advice]:
    yield from without(target, RULE, "statement_timeout", "30s")


RULE = LiveRule(
    id="H701",
    name="no-statement-timeout-set",
    finds="A role without statement_timeout: not its own, not its database's, not the server's.",
    why="One forgotten condition, and a statement runs for hours with its locks and its connection. Its "
    "client left long ago.",
    fix="Set it for the app's role; longer for reports, by SET LOCAL.",
    leaves_alone=(
        "A value of any length, from wherever it comes.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
