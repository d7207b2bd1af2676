"""H607: checkpoints that the amount of writes forces."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...sizes import bytes_text
from ...target import Target

LEAST = 20  # checkpoints
SHARE = 0.5  # of them forced


def _check(target: Target) -> Iterator[Advice]:
    if target.server.version >= 17:
        question = "SELECT num_timed AS timed, num_requested AS forced FROM pg_stat_checkpointer"
    else:
        question = "SELECT checkpoints_timed AS timed, checkpoints_req AS forced FROM pg_stat_bgwriter"
    row = target.session.row(question)
    count = row.timed + row.forced
    if count >= LEAST and row.forced > SHARE * count:
        size = target.server.amount("max_wal_size")
        up = f"ALTER SYSTEM SET max_wal_size = '{max(4, round(size * 4 / 1024**3))}GB'"
        yield RULE.on(
            "server", f"{row.forced:,} of {count:,} checkpoints were forced; max_wal_size is {bytes_text(size)}",
            change=Change("setting", (up,), ("ALTER SYSTEM RESET max_wal_size",), "", "max_wal_size"),
            fix=f"`{up};` and reload.", gain="fewer full pages in the log, and no waves of writes",
            risk="a crash takes longer to recover from, and pg_wal more room",
        )  # fmt: skip


RULE = LiveRule(
    id="H607",
    name="forced-checkpoints",
    finds="More than half of at least 20 checkpoints that came before their time.",
    why="Each one writes all dirty pages at once, and each page whole into the log when it is next changed.",
    fix="Raise max_wal_size until checkpoint_timeout decides.",
    leaves_alone=(
        "Servers with fewer than 20 checkpoints since their counters began.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
