"""One INSERT that fills a table with rows of the same statistics as another's: pg_stats in, no row of data read.

Each column is made by itself: NULLs and the most common values by their shares, the rest between the bounds of the
histogram, as many distinct values as there were, in the order of the rows where the correlation says so. Columns
that depend on each other do not here; an estimate for two of them together is worse on the copy than it was.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalog import Column, Table
from ..names import literal, quoted
from ..workload.column_statistics import ColumnStatistics

IN_ORDER = 0.9  # of the correlation
# How a number becomes a value of the type, where no histogram can be drawn from.
_FROM_NUMBER = {
    "int2": "({n} % 32767)::int2", "int4": "({n} % 2147483647)::int4", "int8": "({n})::int8",
    "numeric": "({n})::numeric", "float4": "({n})::float4", "float8": "({n})::float8",
    "text": "'v' || {n}", "varchar": "'v' || {n}", "bpchar": "('v' || {n})::bpchar", "bool": "({n}) % 2 = 0",
    "date": "date '2020-01-01' + (({n}) % 3000)::int",
    "timestamp": "timestamp '2020-01-01' + ({n}) * interval '1 minute'",
    "timestamptz": "timestamptz '2020-01-01 00:00Z' + ({n}) * interval '1 minute'",
    "uuid": "md5(({n})::text)::uuid", "bytea": "decode(md5(({n})::text), 'hex')",
    "jsonb": "jsonb_build_object('k', {n})", "json": "json_build_object('k', {n})",
}  # fmt: skip


def rows_statement(table: Table, known: Mapping[str, ColumnStatistics], rows: int) -> str:
    """Return the INSERT.

    Args:
        known: Of the table's columns, by name.
        rows: How many; distinct values that are a share of the rows shrink with them.
    """
    columns = [each for each in table.columns if each.base in _FROM_NUMBER or _bounds(known.get(each.name))]
    names = ", ".join(quoted(each.name) for each in columns)
    values = ",\n  ".join(_value(each, known.get(each.name), rows) for each in columns)
    return f"INSERT INTO {table.full} ({names})\nSELECT {values}\nFROM generate_series(1, {rows}) AS g"


def _bounds(statistics: ColumnStatistics | None) -> bool:
    return statistics is not None and bool(statistics.bounds or statistics.common)


def _value(column: Column, statistics: ColumnStatistics | None, rows: int) -> str:
    if statistics is None:
        return _from_number(column, "g")
    rest = _rest(column, statistics, rows)
    cases, at = [], statistics.nulls
    if at > 0:
        cases.append(f"WHEN dice.{quoted(column.name)} < {at:.6f} THEN NULL")
    if statistics.common:
        array = f"{literal(statistics.common)}::text[]"  # as text, for a value may be an array itself
        for number, share in enumerate(statistics.frequencies, 1):
            at += share
            cases.append(f"WHEN dice.{quoted(column.name)} < {at:.6f} THEN ({array})[{number}]::{column.type}")
    if not cases:
        return rest
    # One throw of the dice for the whole CASE: a sub-select that names g is evaluated once for each row.
    dice = f"(SELECT random() + 0 * g AS {quoted(column.name)}) AS dice"
    return f"(SELECT CASE {' '.join(cases)} ELSE {rest} END FROM {dice})"


def _rest(column: Column, statistics: ColumnStatistics, rows: int) -> str:
    distinct = max(1, round(statistics.distinct_of(rows)))
    if statistics.distinct == -1:
        return _from_number(column, "g")
    in_order = abs(statistics.correlation or 0.0) > IN_ORDER
    number = f"(g::bigint * {distinct} / {max(rows, 1)})" if in_order else f"floor(random() * {distinct})::bigint"
    if column.base in _FROM_NUMBER:
        return _from_number(column, number)
    array = f"{literal(statistics.bounds or statistics.common or '{}')}::text[]"
    return f"({array})[1 + floor(random() * array_length({array}, 1))::int]::{column.type}"


def _from_number(column: Column, number: str) -> str:
    return f"({_FROM_NUMBER[column.base].format(n=number)})"
