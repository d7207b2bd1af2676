"""H521: a table without a primary key."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, Change, LiveRule
from ...catalog import Catalog, Index, Table
from ...names import made_name, quoted
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    catalog = target.catalog
    for table in catalog.tables.values():
        has_one = any(each.is_primary for each in catalog.of(table.oid))
        if table.kind in ("r", "p") and not table.is_partition and not has_one:
            yield _finding(catalog, table)


def _finding(catalog: Catalog, table: Table) -> Advice:
    unique = next((each for each in catalog.of(table.oid) if _may_be_primary(table, each)), None)
    if unique is None:
        column = "id" if "id" not in table.by_name else f"{table.name}_id"
        new = f"{quoted(column)} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        up = f"ALTER TABLE {table.full} ADD COLUMN {new}"
        fix, change = f"`{up};` when the table is small: it is rewritten under a lock.", Change("other", (up,))
    elif table.kind == "p" or unique.constraint:
        # neither a partitioned table nor a UNIQUE constraint's index can be taken over
        up = f"ALTER TABLE {table.full} ADD PRIMARY KEY ({', '.join(map(quoted, unique.columns))})"
        fix, change = f"`{up};`, which builds an index under a lock.", Change("other", (up,))
    else:
        name = quoted(made_name([table.name], catalog.index_names(table.schema), "pkey"))
        taken = f"PRIMARY KEY USING INDEX {quoted(unique.name)}"
        up = f"ALTER TABLE {table.full} ADD CONSTRAINT {name} {taken}"
        fix, change = f"`{up};` takes the unique index that is there.", Change("other", (up,))
    return RULE.on(
        table.full, f"{table.full} has no primary key", fix=fix, change=change,
        evidence=(Evidence(Place(table.full, 0), f"{unique.full} is unique and never NULL"),) if unique else (),
        gain="rows that can be told apart, updated one by one, and replicated",
        risk="a short lock on the table" if unique else "a lock on the table for as long as it is rewritten",
    )  # fmt: skip


def _may_be_primary(table: Table, index: Index) -> bool:
    is_plain = not any(each.opclass or each.collation or each.is_desc for each in index.keys)
    whole = index.is_unique and index.is_valid and not index.predicate and is_plain
    return whole and index.method == "btree" and all(
        name in table.by_name and table.by_name[name].not_null for name in index.columns
    )


RULE = LiveRule(
    id="H521",
    name="no-primary-key",
    finds="A table without a primary key.",
    why="A row cannot be named: an UPDATE hits its duplicates too, pages have no order to go on from, and logical"
    " replication refuses UPDATE and DELETE.",
    fix="Add one: of a unique index that is there without a rewrite, else an identity column.",
    leaves_alone=("Partitions, which have their parent's; materialized views.",),
    severity=Severity.low,
    check=_check,
    example="CREATE TABLE visits (at timestamptz, page text);\n",
    instead="CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz, page"
    " text);\n",
)
