"""H507: two indexes that are the same."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Evidence, Place, Severity
from ...advice import Advice, LiveRule
from ...catalog import Index, Table
from ...index_changes import dropped
from ...sizes import bytes_text
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    catalog = target.catalog
    for table in catalog.tables.values():
        kept: dict[object, Index] = {}
        for index in sorted(catalog.of(table.oid), key=worth, reverse=True):
            if not index.is_valid or index.is_partition:
                continue
            first = kept.setdefault(shape(index), index)
            if first is not index and is_free(index):
                yield _finding(target, table, index, first)


def shape(index: Index) -> object:
    """Return what makes two indexes the same for every query."""
    return index.method, index.keys, frozenset(index.included), index.predicate


def worth(index: Index) -> tuple[bool, bool, bool, bool, int]:
    """Return how much an index is to be kept: what enforces something comes before what is only read."""
    is_marked = index.is_replica_identity or index.is_clustered
    return index.is_primary, bool(index.constraint), index.is_unique, is_marked, -index.oid


def is_free(index: Index) -> bool:
    """Whether an index enforces nothing, and nothing else rests on it."""
    return not (index.is_unique or index.is_primary or index.is_exclusion or index.constraint
                or index.is_replica_identity or index.is_clustered)  # fmt: skip


def _finding(target: Target, table: Table, index: Index, first: Index) -> Advice:
    size = bytes_text(index.pages * target.server.block)
    return RULE.on(
        index.full, f"{index.full} is the same as {first.full}; it takes {size}, and a part of each write",
        evidence=(Evidence(Place(table.full, 0), first.definition),), change=dropped(table, index),
        gain=f"{size} less, and one index less to write", risk="none for reads: the other one serves them",
        fix=f"Drop {index.full}; keep {first.full}.", names=(table.full,), key=first.name,
    )  # fmt: skip


RULE = LiveRule(
    id="H507",
    name="duplicate-index",
    finds="An index with the same columns, order, operator classes and predicate as another one of its table.",
    why="Every write pays for both, and the cache holds both; no query is served by the second.",
    fix="Drop the one that enforces nothing.",
    leaves_alone=(
        "What a constraint, a UNIQUE, the replica identity or CLUSTER rests on.",
        "Indexes that differ in operator class, collation, direction, INCLUDE or predicate.",
        "Partitions' indexes, and invalid ones, which have a rule of their own.",
    ),
    severity=Severity.medium,
    check=_check,
    example="CREATE TABLE users (id bigint PRIMARY KEY, email text);\nCREATE INDEX by_email ON users (email);\n"
    "CREATE INDEX users_email_idx ON users (email);\n",
    instead="CREATE TABLE users (id bigint PRIMARY KEY, email text);\nCREATE INDEX by_email ON users (email);\n"
    "CREATE INDEX by_email_down ON users (email DESC);\n",
)
