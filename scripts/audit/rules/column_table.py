"""Which columns of which tables a statement filters, joins and sorts by, with the schema's help where it is not
written.

A column without a table belongs to the one table of its query that has such a column. If none or several have it,
it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..schema.tables import Schema
from ..sql.select import Column, Filter, Select
from ..sql.statement import Statement


@dataclass(frozen=True)
class Use:
    """A column that a statement needs to find its rows by.

    Attributes:
        how: "filter", "join" or "sort".
        function: What stands around it, "lower"; "" for nothing.
        filter: The condition, of a filter.
        block: The query that it stands in.
    """

    table: str
    column: str
    how: str
    block: Select
    function: str = ""
    filter: Filter | None = None

    @property
    def key(self) -> str:
        """As an index would have it: "email" or "lower(email)"."""
        return f"{self.function}({self.column})" if self.function else self.column


def uses(schema: Schema, read: Statement) -> Iterator[Use]:
    """Yield the uses of columns that the schema knows, in the order of the queries."""
    for block in read.select.blocks() if read.select is not None else ():
        for each in block.filters:
            yield from _use(schema, block, each.column, "filter", each)
        for pair in block.joins:
            for column in pair:
                yield from _use(schema, block, column, "join", None)
        for column in block.order_by[:1]:
            yield from _use(schema, block, column, "sort", None)


def _use(schema: Schema, block: Select, column: Column, how: str, filter_: Filter | None) -> Iterator[Use]:
    table = column.table or _owner(schema, block, column.name)
    if column.function != "?" and table in schema.tables and column.name in schema.tables[table].columns:
        yield Use(table, column.name, how, block, column.function, filter_)


def _owner(schema: Schema, block: Select, name: str) -> str:
    owners = [table for table in block.tables if table in schema.tables and name in schema.tables[table].columns]
    return owners[0] if len(owners) == 1 else ""
