"""H703: a role that waits for locks for ever."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...names import quoted
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    server = target.server
    if server.amount("lock_timeout"):
        return
    role, setting = quoted(server.role), "lock_timeout"
    up, down = f"ALTER ROLE {role} SET {setting} = '5s'", f"ALTER ROLE {role} RESET {setting}"
    yield RULE.on(
        "server", f"{setting} is 0 for {server.role}: nothing ends what hangs", fix=f"`{up};`, for the app's"
        " role.",
        change=Change("setting", (up,), (down,), "", setting), names=(quoted(server.database),),
        gain="what hangs ends, and gives its connection back",
        risk=f"work that really takes longer needs SET LOCAL {setting} of its own",
    )  # fmt: skip


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
