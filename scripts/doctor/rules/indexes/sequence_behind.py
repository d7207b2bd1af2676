"""H524: a sequence that will give out numbers that its column has already."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg2 import sql

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...catalog import Sequence, Table
from ...names import literal, quoted
from ...session import NotSeen
from ...target import Target


def _check(target: Target) -> Iterator[Advice]:
    catalog = target.catalog
    for sequence in catalog.sequences:
        table = catalog.tables.get(sequence.table)
        if table is None or sequence.increment <= 0 or not _is_asked_cheaply(target, sequence):
            continue
        try:
            highest = _highest(target, table, sequence.column)
        except NotSeen:
            continue  # a table that we may not read: its owner sees to it
        if highest is not None and highest > (sequence.last if sequence.last is not None else sequence.lowest - 1):
            yield _finding(table, sequence, highest)


def _is_asked_cheaply(target: Target, sequence: Sequence) -> bool:
    return any(each.columns[:1] == (sequence.column,) and each.is_valid and each.method == "btree"
               and not each.predicate for each in target.catalog.of(sequence.table))  # fmt: skip


def _highest(target: Target, table: Table, column: str) -> int | None:
    statement = sql.SQL("SELECT max({}) AS highest FROM {}")
    name = sql.Identifier(table.schema, table.name)
    found = target.session.row(statement.format(sql.Identifier(column), name)).highest
    return int(found) if found is not None else None


def _finding(table: Table, sequence: Sequence, highest: int) -> Advice:
    up = f"SELECT setval({literal(sequence.full)}, (SELECT max({quoted(sequence.column)}) FROM {table.full}))"
    return RULE.on(
        sequence.full, f"{sequence.full} is at {sequence.last or 0:,}, and {table.column(sequence.column)}"
        f" has {highest:,}"
        " already", change=Change("other", (up,)), gain="INSERTs do not fail as duplicates",
        risk="none; numbers between are left out", names=(table.full, table.column(sequence.column)),
    )  # fmt: skip


RULE = LiveRule(
    id="H524",
    name="sequence-behind",
    finds="A sequence whose column holds larger numbers than it has given out.",
    why="Rows were loaded with their ids, by a dump or an import. The next INSERTs fail as duplicates of"
    " those rows, one"
    " after the other.",
    fix="Set the sequence to the column's highest number.",
    leaves_alone=("Columns without an index that begins with them: the question would read the table.",),
    severity=Severity.high,
    check=_check,
    example="CREATE TABLE users (id serial PRIMARY KEY);\nINSERT INTO users (id) VALUES (7);\n",
    instead="CREATE TABLE users (id serial PRIMARY KEY);\nINSERT INTO users DEFAULT VALUES;\n",
)
