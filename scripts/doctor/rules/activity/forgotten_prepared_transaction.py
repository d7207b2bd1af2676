"""H608: a prepared transaction that nobody ends."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...names import literal
from ...sizes import seconds_text
from ...target import Target

_READ = """
    SELECT gid, owner, database, EXTRACT(EPOCH FROM now() - prepared)::float AS age FROM pg_prepared_xacts
    ORDER BY prepared
"""


def _check(target: Target) -> Iterator[Advice]:
    for row in target.session.rows(_READ):
        if row.age >= target.options.long:
            up = f"ROLLBACK PREPARED {literal(row.gid)}"
            yield RULE.on(
                "server", f"the transaction {row.gid} of {row.owner} was prepared {seconds_text(row.age)} ago in"
                f" {row.database}, and is neither committed nor rolled back", key=row.gid,
                change=Change("other", (up,)), fix=f"COMMIT PREPARED or `{up};`, in its database, by its owner.",
                gain="its locks, and vacuum for the whole server", risk="what it did is lost",
            )  # fmt: skip


RULE = LiveRule(
    id="H608",
    name="forgotten-prepared-transaction",
    finds="A prepared transaction older than --long (60 s).",
    why="It holds its locks and keeps vacuum from every row that died since, also after a restart; no session "
    "shows it.",
    fix="Commit or roll it back; set max_prepared_transactions = 0 where nothing uses them.",
    leaves_alone=(
        "Transactions that were prepared a moment ago.",
    ),
    severity=Severity.high,
    check=_check,
    example="",
    instead="",
)
