"""What the rules of missing timeouts share: a role that has none, and the statement that gives it one."""

from __future__ import annotations

from collections.abc import Iterator

from ...advice import Advice, Change, LiveRule
from ...names import quoted
from ...target import Target


def without(target: Target, rule: LiveRule, setting: str, value: str) -> Iterator[Advice]:
    """Yield a finding where a timeout is 0 for the role that asks, from wherever it comes.

    Args:
        value: What is advised, as SQL writes it: "30s".
    """
    server = target.server
    if server.amount(setting):
        return
    role = quoted(server.role)
    up, down = f"ALTER ROLE {role} SET {setting} = '{value}'", f"ALTER ROLE {role} RESET {setting}"
    yield rule.on(
        "server", f"{setting} is 0 for {server.role}: nothing ends what hangs",
        fix=f"`{up};`, for the app's role.", change=Change("setting", (up,), (down,), "", setting),
        names=(quoted(server.database),),
        gain="what hangs ends, and gives its connection back",
        risk=f"work that really takes longer needs SET LOCAL {setting} of its own",
    )  # fmt: skip
