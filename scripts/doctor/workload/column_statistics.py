"""What the planner knows of a table's columns: how many values, how many NULLs, how wide, in which order."""

from __future__ import annotations

from dataclasses import dataclass

from ..catalog import Table
from ..session import Session

_READ = """
    SELECT attname AS name, n_distinct, null_frac, avg_width, correlation, most_common_vals::text AS common,
           most_common_freqs AS frequencies, histogram_bounds::text AS bounds
    FROM pg_stats WHERE schemaname = %s AND tablename = %s AND NOT inherited
"""


@dataclass(frozen=True)
class ColumnStatistics:
    """Of one column, as pg_stats has it.

    Attributes:
        distinct: n_distinct: a number of values, or below zero their share of the rows.
        nulls: The share of NULLs.
        width: Mean bytes.
        correlation: Of the values' order with the rows'; None where it is not known.
        common, bounds: Arrays as text: the most common values, and the bounds of equally full buckets.
        frequencies: Of the common ones.
    """

    distinct: float
    nulls: float
    width: int
    correlation: float | None
    common: str | None
    frequencies: tuple[float, ...]
    bounds: str | None

    def distinct_of(self, rows: float) -> float:
        """Return how many values there are in so many rows."""
        return self.distinct if self.distinct >= 0 else -self.distinct * max(rows, 0)


def column_statistics(session: Session, table: Table) -> dict[str, ColumnStatistics]:
    """Return what is known of each column, by name; nothing for a table that was never analyzed.

    Raises:
        NotSeen, Lost: as `Session.rows`.
    """
    return {
        row.name: ColumnStatistics(row.n_distinct, row.null_frac, row.avg_width, row.correlation, row.common,
                                   tuple(row.frequencies or ()), row.bounds)
        for row in session.rows(_READ, (table.schema, table.name))
    }  # fmt: skip
