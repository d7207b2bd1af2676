"""H501: columns that refer to another table, with no index that begins with them."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, Change, LiveRule
from ...catalog import Catalog, ForeignKey, Table
from ...index_changes import created
from ...target import Target
from .partitions import on_partitions, partitions

LARGE, SMALL = 100_000, 1_000  # rows of the referring table


def _check(target: Target) -> Iterator[Advice]:
    catalog = target.catalog
    seen: set[tuple[int, frozenset[str]]] = set()
    for key in catalog.foreign_keys:
        table, columns = catalog.tables.get(key.table), frozenset(key.columns)
        if table is None or (key.table, columns) in seen:
            continue
        if catalog.covering(key.table, key.columns) is None:
            seen.add((key.table, columns))
            yield _finding(target, key, table)


def _finding(whole: Target, key: ForeignKey, table: Table) -> Advice:
    catalog = whole.catalog
    parts = partitions(whole, table)
    rows = sum(max(each.rows, 0) for each in parts) if parts else table.rows
    parent = catalog.tables.get(key.target)
    target = parent.full if parent else "another table"
    deletes = catalog.counted(key.target).deletes
    columns = ", ".join(key.columns)
    change = on_partitions(catalog, created(catalog, table, key.columns), key.columns, parts)
    return RULE.on(
        table.full, f"{table.full} ({columns}) refers to {target} by {key.name}, and no index begins with it",
        severity=_severity(rows, deletes), evidence=tuple(_evidence(catalog, table, rows, target, deletes)),
        fix=_fix(table, change), gain=f"{max(rows, 0):,.0f} rows read by each lookup and each DELETE in"
        f" {target}"
        " -> a few pages", risk="the index takes space, and a little of each INSERT and each UPDATE of the column",
        change=change, names=tuple(map(table.column, key.columns)), key=columns,
    )  # fmt: skip


def _severity(rows: float, deletes: int) -> Severity:
    if rows >= LARGE:
        return Severity.high
    return Severity.medium if rows >= SMALL or deletes else Severity.low


def _evidence(catalog: Catalog, table: Table, rows: float, target: str, deletes: int) -> Iterator[Evidence]:
    counted, place = catalog.counted(table.oid), Place(table.full, 0)
    if rows >= 0:
        yield Evidence(place, f"{rows:,.0f} rows; read from end to end {counted.seq_scans:,} times")
    if deletes:
        yield Evidence(place, f"{deletes:,} rows of {target} were deleted, and each had to look for its rows here")


def _fix(table: Table, change: Change) -> str:
    if table.kind == "p":
        return (
            "CONCURRENTLY is not possible on a partitioned table: make it on each partition so, then on the"
            " parent, which takes them over at once: " + " ".join(f"`{each};`" for each in change.up)
        )
    return f"`{change.up[-1]};` outside a transaction, or scripts/harden migrate."


RULE = LiveRule(
    id="H501",
    name="missing-foreign-key-index",
    finds="A foreign key whose columns are not the first ones of any valid index, primary key or UNIQUE of"
    " its table.",
    why='PostgreSQL indexes the referred side only. "The orders of this customer" then reads the whole table,'
    ' and so'
    " does each DELETE or key change of a customer. Of 57 foreign keys in applications that were booted, 52 had no"
    " index; without it a nested profile of 20 appointments took 2.0 s in place of 2.9 ms.",
    fix="Add one with CREATE INDEX CONCURRENTLY; it takes no lock that stops writes.",
    leaves_alone=(
        "A key that is the beginning of a composite index, primary key or UNIQUE, in any order of its columns.",
        "A partial index that leaves out only NULLs of the key.",
        "A key that a partition has from its parent, which is told of; one of the partition's own is not left.",
    ),
    severity=Severity.medium,
    check=_check,
    example="CREATE TABLE customers (id bigint PRIMARY KEY);\n"
    "CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers);\n",
    instead="CREATE TABLE customers (id bigint PRIMARY KEY);\n"
    "CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers);\n"
    "CREATE INDEX orders_customer_id_idx ON orders (customer_id);\n",
)
