"""H511: a B-tree that takes several times the room of what is in it.

The room that is needed is estimated from the columns' mean widths (pg_stats), the page's header and line pointers,
and a fill of 90 %: the method of the estimates that the PostgreSQL wiki collects under "Index Bloat". It is an
estimate, so only what is far beyond it is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ....audit.finding import Confidence, Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...catalog import Index, Table
from ...index_changes import rebuilt
from ...sizes import bytes_text
from ...target import Target

LEAST_PAGES = 1280  # 10 MB
TIMES = 3.0  # the needed room
PAGE_HEADER, SPECIAL, POINTER, TUPLE, ALIGN = 24, 16, 4, 8, 8  # bytes of a B-tree's page
FILL = 0.9
_WIDTHS = """
    SELECT schemaname AS schema, tablename AS "table", attname AS name, avg_width AS width, null_frac AS nulls
    FROM pg_stats WHERE (schemaname || '.' || tablename) = ANY(%s)
"""


def _check(target: Target) -> Iterator[Advice]:
    catalog, block = target.catalog, target.server.block
    large = [each for each in catalog.indexes if each.pages >= LEAST_PAGES and _is_plain(each)]
    if not large:
        return
    tables = [catalog.tables[oid] for oid in {each.table for each in large}]
    names = sorted(f"{each.schema}.{each.name}" for each in tables)
    widths = {(row.schema, row.table, row.name): row.width for row in target.session.rows(_WIDTHS, (names,))}
    for index in large:
        table = catalog.tables[index.table]
        known = [widths.get((table.schema, table.name, each)) for each in (*index.columns, *index.included)]
        if index.rows > 0 and None not in known:
            needed = pages_needed(index.rows, sum(each for each in known if each), block, _fill(index))
            if index.pages > needed * TIMES:
                yield _finding(table, index, needed, block)


def _is_plain(index: Index) -> bool:
    return index.method == "btree" and index.is_valid and "" not in index.columns and not index.predicate


def _fill(index: Index) -> float:
    found = re.search(r"fillfactor='?(\d+)", index.definition)
    return int(found[1]) / 100 if found else FILL


def pages_needed(rows: float, width: float, block: int, fill: float = FILL) -> float:
    """Return the pages of a B-tree with so many rows, as it would be after a rebuild.

    Args:
        width: Mean bytes of a row's keys.
        block: Bytes of a page.
        fill: The share of a page that a rebuild fills.
    """
    entry = POINTER + TUPLE + -(-int(width) // ALIGN) * ALIGN
    return max(1.0, rows * entry / ((block - PAGE_HEADER - SPECIAL) * fill))


def _finding(table: Table, index: Index, needed: float, block: int) -> Advice:
    size, room = bytes_text(index.pages * block), bytes_text(needed * block)
    return RULE.on(
        index.full, f"{index.full} takes {size}, about {index.pages / needed:.1f} times what its rows need",
        confidence=Confidence.medium, change=rebuilt(table, index), gain=f"{size} -> about {room}",
        evidence=(Evidence(Place(table.full, 0), f"{index.rows:,.0f} entries; a fresh one takes about {room}"),),
        risk=f"the rebuild needs about {room} beside the old one while it runs, and reads the table",
        fix="Rebuild it with REINDEX INDEX CONCURRENTLY, and see to vacuum.", names=(table.full,),
    )  # fmt: skip


RULE = LiveRule(
    id="H511",
    name="bloated-index",
    finds="A B-tree of 10 MB or more that takes over three times the room that its entries need.",
    why="Pages that are mostly empty are read, cached and vacuumed like full ones. It comes from mass deletes"
    " and from"
    " UPDATEs that vacuum did not keep up with.",
    fix="REINDEX INDEX CONCURRENTLY; it takes no lock that stops writes.",
    leaves_alone=(
        "Partial indexes and those on expressions, whose rows the statistics do not know.",
        "Tables that were never analyzed: the estimate needs widths.",
    ),
    severity=Severity.low,
    check=_check,
    example="",
    instead="",
)
