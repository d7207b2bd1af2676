"""All workers' figures as one: rows of the same thing are added up, and what is left is sorted and bounded.

Takes plain data, as `ops_data.snapshot` makes it and JSON brings it back, and believes none of it: a snapshot of
another version or shape is refused as a whole. Knows nothing of files. If this is wrong, the page counts twice or
not at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .ops_seen import BOUNDS, COUNTED, POINT, POINTS, STEP, quantile

VERSION = 1
SUMMED = (*COUNTED, "query_seconds", "cpu_seconds")
Row = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """How rows of one kind are merged.

    Attributes:
        key: what makes two rows the same thing.
        texts: further fields, texts.
        sums, highest, lowest: fields that are added, or of which the one is kept.
        leader: of two rows the one with more of it gives all other fields.
        weight: the rows with most of it come first and stay.
        most: so many stay.
    """

    key: tuple[str, ...]
    texts: tuple[str, ...]
    sums: tuple[str, ...]
    highest: tuple[str, ...]
    leader: str
    weight: str
    most: int
    lowest: tuple[str, ...] = ()

    def check(self, row: Row) -> Row:
        """Return the row if it has what it must have.

        Raises:
            ValueError: it has not.
        """
        for name in (*self.key, *self.texts):
            if not isinstance(row[name], str):
                raise ValueError(f"{name} is no text")
        for name in {*self.sums, *self.highest, *self.lowest, self.leader, self.weight}:
            number(row[name])
        return row

    def merged(self, one: Row, other: Row) -> Row:
        """Return two rows of the same thing as one."""
        leader = other if other[self.leader] > one[self.leader] else one
        row = {**leader}
        for name in self.sums:
            row[name] = one[name] + other[name]
        for name in self.highest:
            row[name] = max(one[name], other[name])
        for name in self.lowest:
            row[name] = min(one[name], other[name])
        if "histogram" in row:
            row["histogram"] = [a + b for a, b in zip(one["histogram"], other["histogram"], strict=True)]
        if "plan" in row:
            newer = max(one, other, key=lambda each: each["plan_when"])
            row["plan"], row["plan_when"] = newer["plan"], newer["plan_when"]
        return row


KINDS = {
    "routes": Kind(
        ("method", "route"), (), ("count", "errors", "seconds", "queries", "query_seconds"), ("slowest",), "count",
        "seconds", 500,
    ),
    "queries": Kind(
        ("id", "site"), ("text", "summary", "kind", "route"), ("count", "seconds", "rows", "errors", "requests"),
        ("slowest", "most_per_request"), "most_per_request", "seconds", 1000,
    ),
    "incidents": Kind(
        ("id",), ("route", "advice", "rewrite"), ("times", "total_seconds"), ("last",), "last", "total_seconds",
        300, ("first",),
    ),
    "slow": Kind(
        ("id", "site"), ("text", "summary", "route", "plan"), ("times", "timeouts", "seconds"),
        ("slowest", "last"), "slowest", "slowest", 300, ("first",),
    ),
}  # fmt: skip


def number(value: Any) -> float:
    """Return a number that is one.

    Raises:
        ValueError: it is none.
    """
    try:
        if not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value):
            return value
    except OverflowError:  # a whole number that no float holds
        pass
    raise ValueError(f"{str(value)[:40]!r} is no number")


class Totals:
    """The sums of any number of workers' snapshots."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[tuple[Any, ...], Row]] = {kind: {} for kind in KINDS}
        self.points: dict[int, list[float]] = {}
        self.counts = dict.fromkeys(SUMMED, 0.0)

    def add(self, snapshot: Any) -> None:
        """Add a worker's snapshot, or nothing of it.

        Raises:
            ValueError: it is none, or one of another version.
        """
        try:
            if snapshot["version"] != VERSION:
                raise ValueError(f"version {str(snapshot['version'])[:20]}")
            checked = {name: [kind.check(row) for row in snapshot[name]] for name, kind in KINDS.items()}
            if not all(_is_histogram(row["histogram"]) for row in checked["routes"]):
                raise ValueError("a histogram of another shape")
            points = [(int(point[0]), [number(each) for each in point[1:]]) for point in snapshot["series"]]
            if any(len(values) != POINT for _, values in points):
                raise ValueError("a series of another shape")
            counts = {name: number(snapshot["counts"][name]) for name in SUMMED}
        except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise ValueError(f"not a snapshot of this kit ({type(error).__name__})") from None
        for name, rows in checked.items():
            self._add_rows(name, rows)
        for name, count in counts.items():
            self.counts[name] += count
        for place, values in points:
            known = self.points.get(place)
            self.points[place] = [a + b for a, b in zip(known, values, strict=True)] if known else values

    def snapshot(self) -> Row:
        """Return the sums in the shape of a worker's snapshot, to be added to others."""
        rows = {name: list(found.values()) for name, found in self.rows.items()}
        points = [[place, *values] for place, values in self.points.items()]
        return {"version": VERSION, "series": points, "counts": dict(self.counts), **rows}

    def sorted_rows(self, name: str) -> list[Row]:
        """Return the rows of a kind, the most important first."""
        return _heaviest(self.rows[name].values(), KINDS[name])

    def _add_rows(self, name: str, rows: Iterable[Row]) -> None:
        kind, found = KINDS[name], self.rows[name]
        for row in rows:
            key = tuple(row[part] for part in kind.key)
            found[key] = kind.merged(found[key], row) if key in found else row
        if len(found) > 2 * kind.most:
            kept = _heaviest(found.values(), kind)
            self.rows[name] = {tuple(row[part] for part in kind.key): row for row in kept}


def _heaviest(rows: Iterable[Row], kind: Kind) -> list[Row]:
    return sorted(rows, key=lambda row: row[kind.weight], reverse=True)[: kind.most]


def _is_histogram(counts: Any) -> bool:
    return len(counts) == len(BOUNDS) + 1 and all(number(count) >= 0 for count in counts)


def shown_routes(totals: Totals) -> list[Row]:
    """Return the routes with their means and quantiles in the place of histograms."""
    return [
        {
            **{name: value for name, value in row.items() if name != "histogram"},
            "mean": row["seconds"] / row["count"] if row["count"] else 0.0,
            "p50": quantile(row["histogram"], 0.5, row["slowest"]),
            "p95": quantile(row["histogram"], 0.95, row["slowest"]),
            "queries_per_request": row["queries"] / row["count"] if row["count"] else 0.0,
        }
        for row in totals.sorted_rows("routes")
    ]


def shown_queries(totals: Totals) -> list[Row]:
    """Return the queries with their means."""
    rows = totals.sorted_rows("queries")
    return [{**row, "mean": row["seconds"] / row["count"] if row["count"] else 0.0} for row in rows]


def service_of(totals: Totals, now: float) -> Row:
    """Return the sums of all workers, and the quantiles of the last five minutes."""
    whole = {name: int(totals.counts[name]) for name in ("requests", "errors", "queries", "slow", "repeats")}
    histogram = [sum(counts) for counts in zip(*_recent(totals, now), strict=True)][len(COUNTED) :]
    return {
        **whole, **{name: totals.counts[name] for name in ("seconds", "query_seconds", "cpu_seconds")},
        "p50": quantile(histogram, 0.5), "p95": quantile(histogram, 0.95),
    }  # fmt: skip


def shown_series(totals: Totals, now: float) -> Row:
    """Return the last five minutes as one list per figure, gaps filled with 0; the last point is not over yet."""
    points = _recent(totals, now)
    lists = {name: [round(point[place], 6) for point in points] for place, name in enumerate(COUNTED)}
    lists["p95"] = [round(quantile(point[len(COUNTED) :], 0.95), 6) for point in points]
    return {"step": STEP, "until": (int(now) // STEP + 1) * STEP, **lists}


def _recent(totals: Totals, now: float) -> list[list[float]]:
    last = int(now) // STEP
    empty: list[float] = [0] * POINT
    return [totals.points.get(place, empty) for place in range(last - POINTS + 1, last + 1)]
