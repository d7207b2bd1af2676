"""H534: statements that are compiled for longer than that saves."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, Change, LiveRule
from ...names import quoted
from ...target import Target
from .missing import said

SHARE = 0.3  # of a statement's time
LEAST_MS = 10_000.0  # of compiling, all statements


def _check(target: Target) -> Iterator[Advice]:
    heavy = [each for each in target.workload.statements if each.total_ms and each.jit_ms / each.total_ms >= SHARE]
    spent = sum(each.jit_ms for each in heavy)
    if spent < LEAST_MS:
        return
    database = quoted(target.server.database)
    up, down = f"ALTER DATABASE {database} SET jit = off", f"ALTER DATABASE {database} RESET jit"
    yield RULE.on(
        database, f"{len(heavy)} statements spent {spent / 1000:,.0f} s in being compiled, {SHARE:.0%} or"
        " more of their"
        " time", evidence=tuple(Evidence(Place(database, 0), said(each)) for each in heavy[:3]), fix=f"`{up};`",
        gain=f"{spent / 1000:,.0f} s of the server's time", change=Change("setting", (up,), (down,), "", "jit"),
        risk="large reports may take longer; SET LOCAL jit = on for those",
    )  # fmt: skip


RULE = LiveRule(
    id="H534",
    name="jit-heavy",
    finds="Statements that are compiled (JIT) for 30 % or more of their time, ten seconds in all.",
    why="JIT pays for long scans. A nested query has many expressions and a high estimate, is compiled for"
    " 100 ms and"
    " runs for 3.",
    fix="Turn jit off for the database, and on for the reports that gain by it.",
    leaves_alone=("Servers before PostgreSQL 15, which do not count it.",),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
