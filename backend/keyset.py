"""Which rows come after a given one, as conditions that an index answers, for any order.

"After" is lexicographic: the first column that differs decides. Spelled with OR, that is a filter over every row
before; spelled as it is here, each condition is one stretch of an index that has the order's columns, and the
conditions share no row:

* columns in one direction are compared as a row, `(a, b) < (x, y)`, which is one stretch;
* where the direction changes, a new stretch begins: for `-a, b` it is `a < x`, and `a = x AND b > y`;
* NULLs are a stretch of their own, where a column can hold any and they come later.

The caller reads each stretch up to a page's size and merges them, so a page costs the same at any depth, also
in the midst of a hundred thousand rows that are equal in the first column.
Knows nothing of statements or cursors. If this is wrong, pages skip rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from .page_order import SortColumn


def value(place: int) -> str:
    """Return the parameter that holds the given row's value of a column.

    It is bound as a literal without a type, so PostgreSQL reads it as the column's own type.
    """
    return f"%(page_{place})s"


def stretches(columns: Sequence[SortColumn], is_null: Sequence[bool]) -> list[str]:
    """Return conditions, of which each row after a given row fulfils exactly one, and no other row any.

    Args:
        columns: the order, in the direction of reading.
        is_null: for each column whether the given row has NULL there.
    """
    found: list[str] = []
    same: list[str] = []  # what makes the columns before equal to the given row's
    start = 0
    while start < len(columns):
        if is_null[start]:
            if columns[start].nulls_first:
                found.append(_all(same, f"({columns[start].expression}) IS NOT NULL"))
            same.append(f"({columns[start].expression}) IS NULL")
            start += 1
            continue
        end = _end_of_run(columns, is_null, start)
        found.append(_all(same, _beyond(columns, start, end)))
        for place in range(start, end):
            if columns[place].nullable and not columns[place].nulls_first:
                found.append(_all(same, f"({columns[place].expression}) IS NULL"))
            same.append(f"({columns[place].expression}) = {value(place)}")
        start = end
    return found


def _end_of_run(columns: Sequence[SortColumn], is_null: Sequence[bool], start: int) -> int:
    """Return where the columns end that can be compared as one row: one direction, no NULL in the given row.

    A NULL in the row that is compared makes the comparison fail, unless an earlier column decided. Right where
    NULLs come earlier; where they come later, they are a stretch of their own.
    """
    end = start + 1
    while (
        end < len(columns) and columns[end].descending == columns[start].descending and not is_null[end]
    ):
        end += 1
    return end


def _beyond(columns: Sequence[SortColumn], start: int, end: int) -> str:
    sign = "<" if columns[start].descending else ">"
    left = ", ".join(f"({column.expression})" for column in columns[start:end])
    right = ", ".join(map(value, range(start, end)))
    return f"{left} {sign} {right}" if end == start + 1 else f"({left}) {sign} ({right})"


def _all(conditions: Sequence[str], last: str) -> str:
    return " AND ".join((*conditions, last))
