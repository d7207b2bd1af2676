"""H509: an index that nothing has read since the counters began."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Confidence, Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...catalog import Catalog, Index, Table
from ...index_changes import dropped
from ...sizes import bytes_text, seconds_text
from ...target import Target
from .duplicate_index import is_free, shape
from .redundant_index import covers

DAY = 86400.0
LEAST_WRITES = 1000  # rows written to the table; below that an index costs nothing
LEAST_BYTES = 1024**2


def _check(target: Target) -> Iterator[Advice]:
    server, catalog = target.server, target.catalog
    if server.counted < target.options.unused_after * DAY:
        return
    for table in catalog.tables.values():
        for index in catalog.of(table.oid):
            if _is_unused(catalog, table, index, index.pages * server.block):
                yield _finding(target, table, index)


def _is_unused(catalog: Catalog, table: Table, index: Index, size: int) -> bool:
    counted = catalog.counted(table.oid)
    return (
        not index.scans and index.is_valid and is_free(index) and size >= LEAST_BYTES
        and not table.is_partition and table.kind == "r"
        and counted.inserts + counted.updates + counted.deletes >= LEAST_WRITES
        and counted.seq_scans + counted.index_scans > 0  # somebody reads the table, and not by this index
        and not _serves_foreign_key(catalog, table, index)
        and not _stands_for_another(catalog, index)
    )  # fmt: skip


def _serves_foreign_key(catalog: Catalog, table: Table, index: Index) -> bool:
    """Whether a foreign key would lose the index that begins with it: its next DELETE may come tomorrow."""
    for key in catalog.foreign_keys:
        width = len(key.columns)
        if key.table == table.oid and set(index.columns[:width]) == set(key.columns):
            return True
    return False


def _stands_for_another(catalog: Catalog, index: Index) -> bool:
    """Whether another rule advises to drop one of two indexes: the one that stays will get its reads."""
    others = [each for each in catalog.of(index.table) if each is not index and each.is_valid]
    return any(shape(each) == shape(index) or covers(each, index) or covers(index, each) for each in others)


def _finding(target: Target, table: Table, index: Index) -> Advice:
    server, counted = target.server, target.catalog.counted(table.oid)
    size = bytes_text(index.pages * server.block)
    writes = counted.inserts + counted.updates + counted.deletes
    return RULE.on(
        index.full, f"nothing has read {index.full} in {seconds_text(server.counted)}; it takes {size}",
        confidence=Confidence.low if server.is_replica else Confidence.medium,
        evidence=(Evidence(Place(table.full, 0), f"{writes:,} rows of {table.full} were written meanwhile"),),
        change=dropped(table, index), gain=f"{size} less, and one index less to write",
        risk="a report of once a quarter may need it, or a replica, which counts for itself",
        names=(table.full,), fix=f"Look at the replicas' own counts, then drop {index.full}.",
    )  # fmt: skip


RULE = LiveRule(
    id="H509",
    name="unused-index",
    finds="An index of a megabyte or more that no query has read since the server counts, on a table that is"
    " written.",
    why="Each INSERT and most UPDATEs write it, vacuum reads it, and it takes the cache from what is read.",
    fix="Drop it, after a look at the replicas' counts.",
    leaves_alone=(
        "Counters younger than --unused-after days (7).",
        "What enforces something, and what begins with a foreign key's columns.",
        "One of two indexes that duplicate-index or redundant-index tells of: the one that stays gets the reads.",
        "Tables with fewer than 1,000 rows written, or that nobody reads.",
        "Partitions, of which some are always at rest.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
