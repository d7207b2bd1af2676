"""H522: an integer key that is about to run out of numbers, though its sequence is not."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...catalog import Catalog, Sequence, Table
from ...target import Target
from .highest import highest

HIGHEST = {"int2": 2**15 - 1, "int4": 2**31 - 1}
FROM = 0.5  # of the numbers; at twice the rows it is over


def _check(target: Target) -> Iterator[Advice]:
    catalog = target.catalog
    feeding = {(each.table, each.column): each for each in catalog.sequences if each.table}
    keys = list(_keys(catalog))
    found = highest(target, [(table, name) for table, name, _ in keys if (table.oid, name) not in feeding])
    for table, name, base in keys:
        sequence = feeding.get((table.oid, name))
        last = sequence.last if sequence else found.get((table.oid, name))
        if last is not None and last >= HIGHEST[base] * FROM:
            yield _finding(table, name, base, last, sequence)


def _keys(catalog: Catalog) -> Iterator[tuple[Table, str, str]]:
    """Yield the small integer columns that are a primary key alone."""
    for table in catalog.tables.values():
        primary = next((each for each in catalog.of(table.oid) if each.is_primary), None)
        if primary is None or len(primary.keys) != 1 or table.is_partition:
            continue
        column = table.by_name.get(primary.columns[0])
        if column is not None and column.base in HIGHEST:
            yield table, column.name, column.base


def _finding(table: Table, column: str, base: str, last: int, sequence: Sequence | None) -> Advice:
    by = f"{sequence.full} has given out {last:,}" if sequence else f"the highest is {last:,}"
    share = last / HIGHEST[base]
    severity = Severity.critical if share >= 0.9 else Severity.high if share >= 0.75 else Severity.medium
    kind = {"int2": "smallint", "int4": "integer"}[base]
    return RULE.on(
        table.full, f"{table.column(column)} is {kind}, and a key at {share:.0%} of its numbers",
        severity=severity, evidence=(Evidence(Place(table.full, 0), f"{by}, of {HIGHEST[base]:,}"),),
        fix="Add a bigint column, fill it in batches with a trigger for new rows, index it CONCURRENTLY, and"
        " swap the two"
        " in one short transaction; the columns that refer to it first.",
        gain="inserts after the last number do not fail", names=(table.column(column),), key=column,
        risk="ALTER TYPE in place rewrites the table under a lock that stops all reads",
    )  # fmt: skip


RULE = LiveRule(
    id="H522",
    name="integer-key-near-overflow",
    finds="A smallint or integer primary key that has used more than half of its numbers.",
    why='At the last one each INSERT fails with "integer out of range", and widening the column rewrites the table'
    " under a lock: hours of outage at the worst time.",
    fix="Move to bigint while there is time.",
    leaves_alone=("Keys of type bigint, and keys of several columns.",),
    severity=Severity.medium,
    check=_check,
    example="CREATE TABLE events (id serial PRIMARY KEY);\nSELECT setval('events_id_seq', 1700000000);\n",
    instead="CREATE TABLE events (id bigserial PRIMARY KEY);\nSELECT setval('events_id_seq', 1700000000);\n",
)
