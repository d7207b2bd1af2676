"""The highest number of many columns, each asked through an index that begins with it.

Asked in lots, for a schema may have 10,000 tables. If this is wrong, a rule reads a table from end to end, or one
table that we may not read hides all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg2 import sql

from ...catalog import Catalog, Table
from ...session import NotSeen
from ...target import Target

LOT = 50  # tables a question: each one, and each of its indexes, is a lock
_ONE = "SELECT {place} AS place, (SELECT max({column}) FROM {table})::numeric AS highest"


def is_cheap(catalog: Catalog, table: int, column: str) -> bool:
    """Whether an index gives the highest number at once."""
    return any(
        each.columns[:1] == (column,) and each.is_valid and each.method == "btree" and not each.predicate
        for each in catalog.of(table)
    )


def highest(target: Target, columns: Sequence[tuple[Table, str]]) -> Mapping[tuple[int, str], int]:
    """Return each column's highest number by its table's oid and its name.

    Columns without a number, and those of tables that we may not read, are left out.
    """
    found: dict[tuple[int, str], int] = {}
    for start in range(0, len(columns), LOT):
        lot = columns[start : start + LOT]
        try:
            found.update(_asked(target, lot))
        except NotSeen:
            for each in lot:  # one of them cannot be read: the others can
                found.update(_alone(target, each))
    return found


def _alone(target: Target, column: tuple[Table, str]) -> dict[tuple[int, str], int]:
    try:
        return _asked(target, [column])
    except NotSeen:
        return {}


def _asked(target: Target, lot: Sequence[tuple[Table, str]]) -> dict[tuple[int, str], int]:
    parts = [
        sql.SQL(_ONE).format(place=sql.Literal(place), column=sql.Identifier(column),
                             table=sql.Identifier(table.schema, table.name))
        for place, (table, column) in enumerate(lot)
    ]  # fmt: skip
    rows = target.session.rows(sql.SQL(" UNION ALL ").join(parts))
    keys = [(table.oid, column) for table, column in lot]
    return {keys[row.place]: int(row.highest) for row in rows if row.highest is not None}
