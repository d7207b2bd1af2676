"""H524: a sequence that will give out numbers that its column has already."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg2 import sql

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...catalog import Catalog, Sequence, Table
from ...names import literal, quoted
from ...session import NotSeen
from ...target import Target
from .highest import highest, is_cheap


def _check(target: Target) -> Iterator[Advice]:
    catalog = target.catalog
    feeding = [(each, catalog.tables[each.table]) for each in catalog.sequences if _feeds(catalog, each)]
    found = highest(target, [(table, sequence.column) for sequence, table in feeding])
    for sequence, table in feeding:
        most = found.get((table.oid, sequence.column))
        if most is not None and most > (sequence.last or 0):
            following = _next(target, sequence)
            if following is not None and most >= following:
                yield _finding(table, sequence, most, following)


def _feeds(catalog: Catalog, sequence: Sequence) -> bool:
    """Whether its column takes numbers from it, upwards, and tells its highest at once."""
    table = catalog.tables.get(sequence.table)
    column = table.by_name.get(sequence.column) if table else None
    if column is None or sequence.increment <= 0 or sequence.cycles:
        return False
    return bool(column.identity or "nextval(" in column.default) and is_cheap(
        catalog, sequence.table, sequence.column
    )


def _next(target: Target, sequence: Sequence) -> int | None:
    """Return the number that it gives out next; None when we may not see it.

    Asked after the column was, for rows that came meanwhile took their numbers from it. setval(..., false), which
    dumps write, is seen here alone: pg_sequences has no last value then.
    """
    statement = sql.SQL("SELECT last_value AS last, is_called FROM {}")
    try:
        row = target.session.row(statement.format(sql.Identifier(sequence.schema, sequence.name)))
    except NotSeen:
        return None
    return int(row.last) + (sequence.increment if row.is_called else 0)


def _finding(table: Table, sequence: Sequence, most: int, following: int) -> Advice:
    up = f"SELECT setval({literal(sequence.full)}, (SELECT max({quoted(sequence.column)}) FROM {table.full}))"
    return RULE.on(
        sequence.full, f"{sequence.full} gives out {following:,} next, and {table.column(sequence.column)} has"
        f" {most:,} already", change=Change("other", (up,)), gain="INSERTs do not fail as duplicates",
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
    leaves_alone=(
        "Columns without an index that begins with them: the question would read the table.",
        "Sequences that CYCLE, count down, or are not the default of the column that owns them.",
        "Sequences and tables that the role may not read.",
    ),
    severity=Severity.high,
    check=_check,
    example="CREATE TABLE users (id serial PRIMARY KEY);\nINSERT INTO users (id) VALUES (7);\n",
    instead="CREATE TABLE users (id serial PRIMARY KEY);\nINSERT INTO users DEFAULT VALUES;\n",
)
