"""H701: a role whose statements may run for ever."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...names import quoted
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    server = target.server
    if server.amount("statement_timeout"):
        return
    role, setting = quoted(server.role), "statement_timeout"
    up, down = f"ALTER ROLE {role} SET {setting} = '30s'", f"ALTER ROLE {role} RESET {setting}"
    yield RULE.on(
        "server", f"{setting} is 0 for {server.role}: nothing ends what hangs", fix=f"`{up};`, for the app's"
        " role.",
        change=Change("setting", (up,), (down,), "", setting), names=(quoted(server.database),),
        gain="what hangs ends, and gives its connection back",
        risk=f"work that really takes longer needs SET LOCAL {setting} of its own",
    )  # fmt: skip


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
