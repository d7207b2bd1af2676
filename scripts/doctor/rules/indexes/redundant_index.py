"""H508: an index whose columns another one begins with."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Confidence, Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...catalog import Index, Table
from ...index_changes import dropped
from ...sizes import bytes_text
from ...target import Target
from .duplicate_index import is_free, shape

WIDER = 4  # times its own size; then the short one may be worth its place for scans


def _check(target: Target) -> Iterator[Advice]:
    catalog = target.catalog
    for table in catalog.tables.values():
        indexes = [each for each in catalog.of(table.oid) if each.is_valid and not each.is_partition]
        for index in indexes:
            longer = next((each for each in indexes if covers(each, index)), None)
            if longer is not None and is_free(index):
                yield _finding(target, table, index, longer)


def covers(longer: Index, index: Index) -> bool:
    """Whether every search by the short index can be done by the long one, at about the same cost."""
    return (
        longer is not index and shape(longer) != shape(index)
        and longer.method == index.method == "btree"
        and longer.predicate == index.predicate
        and longer.keys[: len(index.keys)] == index.keys
        and set(index.included) <= {*longer.columns, *longer.included}
        and longer.pages <= max(index.pages, 1) * WIDER
    )  # fmt: skip


def _finding(target: Target, table: Table, index: Index, longer: Index) -> Advice:
    size = bytes_text(index.pages * target.server.block)
    return RULE.on(
        index.full, f"{index.full} is the beginning of {longer.full}; it takes {size}, and a part of each write",
        evidence=(Evidence(Place(table.full, 0), longer.definition),), change=dropped(table, index),
        confidence=Confidence.medium, gain=f"{size} less, and one index less to write",
        risk="searches by its columns read slightly larger pages of the longer one", names=(table.full,),
        fix=f"Drop {index.full}; {longer.full} finds the same rows.", key=longer.name,
    )  # fmt: skip


RULE = LiveRule(
    id="H508",
    name="redundant-index",
    finds="A B-tree index whose columns are the first ones of another, with the same order and predicate.",
    why="The longer one finds the same rows; the short one costs a part of each write and its place in the cache.",
    fix="Drop the shorter one.",
    leaves_alone=(
        "What enforces something: UNIQUE, constraints, the replica identity.",
        "A short index of which the longer is more than four times the size.",
        "Other methods than B-tree, other directions, operator classes and predicates.",
    ),
    severity=Severity.low,
    check=_check,
    example="CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, day date);\n"
    "CREATE INDEX by_customer ON orders (customer_id);\nCREATE INDEX by_customer_day ON orders (customer_id,"
    " day);\n",
    instead="CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, day date);\n"
    "CREATE INDEX by_day ON orders (day);\nCREATE INDEX by_customer_day ON orders (customer_id, day);\n",
)
