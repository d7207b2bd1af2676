"""A plan as text: sections of numbers with their reasons, then the total, then what is wrong with it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from deploy.plan_rows import COMPUTED, Row

TITLES = {
    "app": "app", "pgbouncer": "PgBouncer", "postgresql": "PostgreSQL connections",
    "timeouts": "timeouts, each below the next",
}  # fmt: skip
NARROWEST = 20  # of the column of reasons


def lines(rows: Sequence[Row], width: int) -> Iterator[str]:
    """Yield the table's lines.

    Args:
        rows: in the order of their sections.
        width: columns of the whole; reasons are folded into what is left.
    """
    names = max(len(row.name) for row in rows)
    values = max(len(_value(row)) for row in rows)
    sources = max(len(_source(row)) for row in rows)
    room = max(NARROWEST, width - names - values - sources - 8)
    for section, of_section in groupby(rows, key=lambda row: row.section):
        yield TITLES[section]
        for row in of_section:
            first, *rest = textwrap.wrap(row.reason, room) or [""]
            head = f"  {row.name:{names}}  {_value(row):>{values}}  {_source(row):{sources}}  "
            yield head + first
            yield from (" " * len(head) + line for line in rest)
        yield ""


def _value(row: Row) -> str:
    return f"{row.value} {row.unit}".strip()


def _source(row: Row) -> str:
    return "" if row.source == COMPUTED else row.source


def total(worst: int, limit: int) -> str:
    """Return the line that says whether it fits."""
    if worst > limit:
        return f"does not fit: worst case {worst} of {limit} connections, {worst - limit} too many"
    return f"fits: worst case {worst} of {limit} connections, {limit - worst} spare"
