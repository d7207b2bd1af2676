"""H712: an app that connects as a superuser."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Confidence, Severity
from ...advice import Advice, LiveRule
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    server = target.server
    if server.is_superuser and server.role != "postgres":
        yield RULE.on(
            "server", f"{server.role} is a superuser", confidence=Confidence.medium, key=server.role,
            gain="one SQL injection reads no other database and no file of the server",
            risk="what the app does beyond its tables needs a grant",
        )  # fmt: skip


RULE = LiveRule(
    id="H712",
    name="superuser-app",
    finds="A role other than postgres that asks, and is a superuser.",
    why="Whatever the app lets in may read every database, and run programs as the server.",
    fix="A role that owns the app's tables, or has grants on them, and no more.",
    leaves_alone=(
        "The superuser postgres itself, by whom people look.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
