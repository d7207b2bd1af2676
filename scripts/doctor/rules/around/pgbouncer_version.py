"""H803: a PgBouncer that is too old."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...pooler import console
from ...target import Target

PREPARED, SAFE = (1, 21), (1, 25)


def _check(target: Target) -> Iterator[Advice]:
    seen = console(target)
    if seen.version < PREPARED:
        yield RULE.on(
            "pgbouncer", f"PgBouncer {seen.version_text} has no prepared statements in transaction mode", key="",
            gain="plans that are kept, and clients that prepare by themselves", risk="a restart, or an online"
            " takeover",
        )  # fmt: skip


RULE = LiveRule(
    id="H803",
    name="pgbouncer-version",
    finds="PgBouncer before 1.21.",
    why="It knows no prepared statements in transaction mode, and lacks fixes since.",
    fix="Install a current one, from PostgreSQL's own packages when the distribution's is old.",
    leaves_alone=(
        "1.21 and later.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
