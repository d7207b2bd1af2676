"""H510: what a CREATE INDEX CONCURRENTLY has left that did not come to its end."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...index_changes import rebuilt
from ...target import Target

_BUILDING = """
    SELECT a.relation::bigint AS oid FROM pg_locks a
    WHERE a.locktype = 'relation' AND a.mode = 'ShareUpdateExclusiveLock' AND a.granted
      AND a.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def _check(target: Target) -> Iterator[Advice]:
    catalog = target.catalog
    broken = [each for each in catalog.indexes if not each.is_valid and not each.is_partition]
    building = {row.oid for row in target.session.rows(_BUILDING)} if broken else set()
    for index in broken:
        table = catalog.tables[index.table]
        if table.oid in building or table.kind == "p":
            continue
        again, end = rebuilt(table, index), f"DROP INDEX CONCURRENTLY IF EXISTS {index.full}"
        is_copy = index.name.endswith(("_ccnew", "_ccold"))  # of a REINDEX CONCURRENTLY; the original is there
        yield RULE.on(
            index.full, f"{index.full} is invalid: no query uses it, and each write pays for it",
            change=Change("drop index", (end,), (), table.full, index.full) if is_copy else again,
            gain="the index that somebody wanted, or the writes that it costs",
            risk="a unique one fails again while there are duplicates", names=(table.full,),
            fix=f"`{end};`" if is_copy else f"Build it again with `{again.up[0]};`, or drop it.",
        )  # fmt: skip


RULE = LiveRule(
    id="H510",
    name="invalid-index",
    finds="An index that is marked invalid, while nobody is building it.",
    why="A CREATE INDEX CONCURRENTLY that was cancelled, or met a duplicate, leaves its index behind. It is"
    " written"
    " and never read, and IF NOT EXISTS takes it for the index that is wanted.",
    fix="REINDEX INDEX CONCURRENTLY, or drop it and make it again.",
    leaves_alone=("An index that is being built at this moment.", "A partitioned table's, until all parts"
    " have one."),
    severity=Severity.medium,
    check=_check,
    example="",
    instead="CREATE TABLE users (id bigint PRIMARY KEY, email text);\nCREATE INDEX by_email ON users (email);\n",
)
