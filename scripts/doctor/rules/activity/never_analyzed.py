"""H604: a table whose statistics are missing or far from the truth."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...target import Target

LEAST_ROWS = 5_000
SHARE = 0.5  # of the rows changed since the last ANALYZE


def _check(target: Target) -> Iterator[Advice]:
    for oid, counted in target.catalog.statistics.items():
        table = target.catalog.tables.get(oid)
        if table is None or counted.live < LEAST_ROWS:
            continue
        if counted.analyzed is None and table.rows < 0:
            what = f"{table.full} has {counted.live:,} rows and was never analyzed"
        elif counted.changed > max(SHARE * counted.live, LEAST_ROWS):
            what = f"{counted.changed:,} rows of {table.full} changed since its last ANALYZE, of {counted.live:,}"
        else:
            continue
        up = f"ANALYZE {table.full}"
        yield RULE.on(
            table.full, what, fix=f"`{up};`, and see why autovacuum does not.", risk="reads a sample of the table",
            change=Change("maintain", (up,), (), table.full, table.full), gain="plans by what the table holds now",
        )  # fmt: skip


RULE = LiveRule(
    id="H604",
    name="never-analyzed",
    finds="A table of 5,000 rows or more that was never analyzed, or of which more than half has changed since.",
    why="The planner guesses: it reads a table from end to end for one row, or loops over a million.",
    fix="ANALYZE it; after a large load always.",
    leaves_alone=(
        "Small tables, and those that autovacuum has analyzed.",
    ),
    severity=Severity.medium,
    check=_check,
    example="CREATE TABLE loaded (id bigint PRIMARY KEY) WITH (autovacuum_enabled = off); INSERT INTO loaded "
    "SELECT generate_series(1, 20000); SELECT pg_sleep(1.2);",
    instead="CREATE TABLE small (id bigint PRIMARY KEY); INSERT INTO small SELECT generate_series(1, 20);",
)
