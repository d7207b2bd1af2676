"""H707: a server that logs no slow statement."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    server = target.server
    logs = [server.amount(name) for name in ("log_min_duration_statement", "log_min_duration_sample",
                                             "auto_explain.log_min_duration")]  # fmt: skip
    if any(each >= 0 for each in logs):  # NaN, where there is no such setting, is not
        return
    up = "ALTER SYSTEM SET log_min_duration_statement = '1s'"
    yield RULE.on(
        "server", "no statement is logged for taking long (log_min_duration_statement = -1)",
        change=Change("setting", (up,), ("ALTER SYSTEM RESET log_min_duration_statement",), "",
                      "log_min_duration_statement"),
        fix=f"`{up};` and reload.", gain="what was slow last night stands in the log", key="",
        risk="texts of statements, and values in them, stand in the server's log",
    )  # fmt: skip


RULE = LiveRule(
    id="H707",
    name="slow-statements-not-logged",
    finds="log_min_duration_statement at -1, and neither auto_explain nor sampling in its place.",
    why="When something was slow last night, nobody knows what.",
    fix="Log what takes longer than a second.",
    leaves_alone=(
        "Any bound, also by sampling or auto_explain.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
