"""H822: a replication slot that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...names import literal
from ...sizes import bytes_text
from ...target import Target

LEAST = 64 * 1024**2
_READ = """
    SELECT slot_name AS name, slot_type AS kind,
           pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
                           ELSE pg_current_wal_lsn() END, restart_lsn)::bigint AS kept
    FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL ORDER BY 1
"""


def _check(target: Target) -> Iterator[Advice]:
    for row in target.session.rows(_READ):
        up = f"SELECT pg_drop_replication_slot({literal(row.name)})"
        yield RULE.on(
            "replication", f"the {row.kind} slot {row.name} is read by nobody, and keeps"
            f" {bytes_text(row.kept)} of the"
            " log", severity=Severity.high if row.kept >= LEAST else Severity.medium, key=row.name,
            change=Change("other", (up,)), fix=f"Bring its reader back, or `{up};`", gain="the disk does not"
            " fill up",
            risk="its reader has to be made anew",
        )  # fmt: skip


RULE = LiveRule(
    id="H822",
    name="replication-slot-inactive",
    finds="A replication slot without a reader.",
    why="The server keeps all of its log for it until the disk is full, and then stops; a logical one keeps "
    "vacuum away too.",
    fix="Bring the reader back or drop the slot; max_slot_wal_keep_size bounds it.",
    leaves_alone=(
        "Slots that are being read.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
