"""H703: a role that waits for locks for ever."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...target import Target
from .timeouts import without


def _check(target: Target) -> Iterator[Advice]:
    yield from without(target, RULE, "lock_timeout", "5s")


RULE = LiveRule(
    id="H703",
    name="no-lock-timeout",
    finds="A role without lock_timeout: not its own, not its database's, not the server's.",
    why="A migration that waits for its lock lets everybody queue up behind it.",
    fix="Set it for the app's role; longer for reports, by SET LOCAL.",
    leaves_alone=(
        "A value of any length, from wherever it comes.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
