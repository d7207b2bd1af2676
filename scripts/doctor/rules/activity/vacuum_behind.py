"""H601: a table with many dead rows that vacuum has not taken away."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, Change, LiveRule
from ...sizes import seconds_text
from ...target import Target

LEAST_DEAD = 10_000  # rows
SHARE = 0.2  # of the table: what autovacuum waits for by default
TIMES = 2.0  # beyond autovacuum's own threshold


def _check(target: Target) -> Iterator[Advice]:
    amount = target.server.amount
    for oid, counted in target.catalog.statistics.items():
        table = target.catalog.tables.get(oid)
        if table is None or counted.dead < LEAST_DEAD:
            continue
        name = "autovacuum_vacuum_scale_factor"
        scale = float(table.options.get(name, amount(name)))
        due = amount("autovacuum_vacuum_threshold") + scale * max(table.rows, counted.live)
        if counted.dead > max(due * TIMES, SHARE * counted.live):
            last = f"{seconds_text(counted.vacuumed)} ago" if counted.vacuumed is not None else "never"
            yield RULE.on(
                table.full, f"{table.full} has {counted.dead:,} dead rows beside {counted.live:,} live ones",
                evidence=(Evidence(Place(table.full, 0), f"last vacuum: {last}; autovacuum was due at"
                f" {due:,.0f}"),),
                change=Change("maintain", (f"VACUUM (ANALYZE) {table.full}",), (), table.full, table.full),
                gain="scans that do not read what nobody can see", fix=f"`VACUUM (ANALYZE) {table.full};`,"
                " then look for"
                " what held it back: long transactions, a slot, a cost limit.",
                risk="reads and writes the table's pages beside the app; takes no lock that stops it",
            )  # fmt: skip


RULE = LiveRule(
    id="H601",
    name="vacuum-behind",
    finds="A table with more than twice the dead rows at which autovacuum is due, and 10,000 at least.",
    why="Dead rows are read by every scan and kept in every index. Autovacuum is off, too slow for the "
    "writes, or held back by an old transaction or a replication slot.",
    fix="VACUUM it, and mend what held autovacuum back.",
    leaves_alone=(
        "Tables below 10,000 dead rows, or a fifth of the live ones.",
        "Tables that autovacuum is about to take.",
    ),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="",
)
