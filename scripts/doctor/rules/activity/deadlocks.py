"""H626: deadlocks, again and again."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...sizes import seconds_text
from ...target import Target

A_DAY = 5.0
LEAST = 5
_READ = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def _check(target: Target) -> Iterator[Advice]:
    count = target.session.row(_READ).deadlocks
    days = max(target.server.counted / 86400, 1.0)
    if count >= LEAST and count / days >= A_DAY:
        yield RULE.on(
            "sessions", f"{count:,} deadlocks in {seconds_text(target.server.counted)}; the server's log has"
            " the two"
            " statements of each", gain="no transactions that fail for their order", risk="none in looking",
        )  # fmt: skip


RULE = LiveRule(
    id="H626",
    name="deadlocks",
    finds="Five or more deadlocks a day.",
    why="Each one costs a second of waiting and a failed transaction. They come from transactions that take "
    "the same rows in different orders.",
    fix="Take rows in one order (ORDER BY id FOR UPDATE), and keep transactions short.",
    leaves_alone=(
        "A deadlock now and then.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
