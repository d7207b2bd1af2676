"""H711: max_connections that the machine could not carry."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...target import Target

MOST = 500


def _check(target: Target) -> Iterator[Advice]:
    most = target.server.amount("max_connections")
    if most > MOST:
        up = "ALTER SYSTEM SET max_connections = 200"
        yield RULE.on(
            "server", f"max_connections is {most:.0f}: so many at work at once are slower than a tenth of them",
            change=Change("setting", (up,), ("ALTER SYSTEM RESET max_connections",), "", "max_connections"),
            fix=f"PgBouncer before the server, then `{up};` and a restart.", key="",
            gain="memory, and statements that run in place of waiting for each other",
            risk="clients beyond it are refused: count them first",
        )  # fmt: skip


RULE = LiveRule(
    id="H711",
    name="max-connections-too-high",
    finds="max_connections above 500.",
    why="Each connection is a process with its memory and its place in every snapshot; a few times the cores "
    "do all the work.",
    fix="PgBouncer for the many clients, and a few server connections.",
    leaves_alone=(
        "Values up to 500.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
