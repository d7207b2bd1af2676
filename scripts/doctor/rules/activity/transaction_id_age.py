"""H603: a database or table that has not been frozen for long."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, Change, LiveRule
from ...names import qualified
from ...target import Target

FROM = 0.5  # of the 2,147,483,648 transactions after which the server stops
LAST = 2**31
_READ = """
    SELECT n.nspname AS schema, c.relname AS name, age(c.relfrozenxid)::bigint AS age,
           (SELECT age(datfrozenxid)::bigint FROM pg_database WHERE datname = current_database()) AS database
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 't') ORDER BY age(c.relfrozenxid) DESC LIMIT 1
"""


def _check(target: Target) -> Iterator[Advice]:
    for row in target.session.rows(_READ):
        if row.age >= LAST * FROM:
            name = qualified(row.schema, row.name)
            up = f"VACUUM (FREEZE) {name}"
            yield RULE.on(
                name, f"{name} has not been frozen for {row.age:,} transactions; at {LAST:,} the server stops",
                severity=Severity.critical if row.age >= LAST * 0.75 else Severity.high, fix=f"`{up};` today.",
                evidence=(Evidence(Place(name, 0), f"the whole database: {row.database:,}"),),
                change=Change("maintain", (up,), (), name, name), gain="the server does not stop taking writes",
                risk="reads the whole table beside the app",
            )  # fmt: skip


RULE = LiveRule(
    id="H603",
    name="transaction-id-age",
    finds="A table whose oldest transaction is more than half of the way to wraparound.",
    why="At the end the server refuses all writes until vacuum is through, which takes hours on a large "
    "table.",
    fix="VACUUM (FREEZE) now, and find what keeps autovacuum from it: a prepared transaction, a slot, a "
    "session.",
    leaves_alone=(
        "Ages that autovacuum_freeze_max_age has in hand.",
    ),
    severity=Severity.high,
    check=_check,
    example="",
    instead="",
)
