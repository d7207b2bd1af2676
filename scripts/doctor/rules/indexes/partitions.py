"""An index of a partitioned table without stopping writes: on each partition CONCURRENTLY, then on the parent.

CREATE INDEX on the parent takes over a partition's index that is the same, so its own lock is short. If this
is wrong, the statement on the parent builds indexes while all writes wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...advice import Change
from ...catalog import Catalog, Table
from ...index_changes import created
from ...target import Target

_LEAVES = "SELECT relid::bigint AS oid FROM pg_partition_tree(%s) WHERE isleaf ORDER BY relid"


def partitions(target: Target, table: Table) -> tuple[Table, ...]:
    """Return the partitions that hold a partitioned table's rows; foreign tables are left out, none for others."""
    if table.kind != "p":
        return ()
    known = target.catalog.tables
    rows = target.session.rows(_LEAVES, (table.oid,))
    return tuple(known[row.oid] for row in rows if row.oid in known and known[row.oid].kind == "r")


def on_partitions(catalog: Catalog, change: Change, columns: Sequence[str], parts: Sequence[Table]) -> Change:
    """Return a partitioned parent's new index with those of its partitions before it; others as they are."""
    lacking = [each for each in parts if catalog.covering(each.oid, columns) is None]
    first = [each for part in lacking for each in created(catalog, part, columns).up]
    return replace(change, up=(*first, *change.up))
