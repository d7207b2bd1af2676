"""H702: a role that may hold a transaction for ever."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...target import Target
from .timeouts import without


def _check(target: Target) -> Iterator[Advice]:
    yield from without(target, RULE, "idle_in_transaction_session_timeout", "1min")


RULE = LiveRule(
    id="H702",
    name="no-idle-in-transaction-timeout",
    finds="A role without idle_in_transaction_session_timeout: not its own, not its database's, not the "
    "server's.",
    why="A worker that hangs in the middle of a transaction keeps its locks and keeps vacuum from working "
    "until somebody restarts it.",
    fix="Set it for the app's role; longer for reports, by SET LOCAL.",
    leaves_alone=(
        "A value of any length, from wherever it comes.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
