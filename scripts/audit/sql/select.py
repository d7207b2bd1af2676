"""What one SELECT (or the WHERE of an UPDATE or DELETE) says: tables, filters, joins, order, and where it ends.

Names are resolved to tables by their aliases; a column without one belongs to the only table, or to none that is
known here. A sub-select is a `Select` of its own. Nothing is known of a schema.
"""

from __future__ import annotations

from dataclasses import dataclass, field

EQUAL = ("=", "in", "any")


@dataclass(frozen=True)
class Column:
    """A column as a statement names it.

    Attributes:
        table: "" when the statement does not say which of several.
        function: What stands around it, "lower"; "" for nothing, "?" for what is not understood.
    """

    table: str
    name: str
    function: str = ""


@dataclass(frozen=True)
class Filter:
    """A condition on a column.

    Attributes:
        operator: "=", "in", "any", "<", "<=", ">", ">=", "<>", "like", "ilike", "between", "null", "~", "@@", ...
        by: "placeholder", "hole", "literal", "select", "now" (the time) or "past" (the time less something).
        pattern: Of LIKE, what the statement itself says: "%" for a leading wildcard, "" when only the code knows.
        is_optional: Whether it is one side of an OR.
        is_outer: Whether it stands in the ON of an outer join, which bounds nothing.
        inner: The sub-select that it compares with.
    """

    column: Column
    operator: str
    by: str
    pattern: str = ""
    is_optional: bool = False
    is_outer: bool = False
    inner: Select | None = None


@dataclass
class Select:
    """One query block.

    Attributes:
        names: Alias or name -> table; "" for what is no table.
        sources: Sub-selects and CTEs in FROM.
        filters: Of WHERE and of inner joins' ON.
        joins: Pairs of columns that are compared.
        arms: Of UNION and the like.
        nested: Sub-selects in expressions.
        exists: Those of them that stand in a required EXISTS.
        has_limit: LIMIT or FETCH FIRST; `limit` is its number, if that is a constant.
        is_grouped: GROUP BY or DISTINCT ON.
        is_aggregate: Whether an aggregate is selected; without a GROUP BY there is one row.
        has_unknown_filter: Whether a hole may bring a condition.
    """

    names: dict[str, str] = field(default_factory=dict)
    sources: list[Select] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    joins: list[tuple[Column, Column]] = field(default_factory=list)
    order_by: list[Column] = field(default_factory=list)
    group_by: list[Column] = field(default_factory=list)
    arms: list[Select] = field(default_factory=list)
    nested: list[Select] = field(default_factory=list)
    exists: list[Select] = field(default_factory=list)
    has_limit: bool = False
    has_offset: bool = False
    limit: int | None = None
    is_grouped: bool = False
    is_aggregate: bool = False
    has_unknown_filter: bool = False

    @property
    def tables(self) -> list[str]:
        """The tables of its own FROM, in order, once each."""
        return list(dict.fromkeys(name for name in self.names.values() if name))

    def blocks(self) -> list[Select]:
        """Return this and every query in it."""
        found: list[Select] = []
        todo = [self]
        while todo:
            each = todo.pop(0)
            if all(each is not other for other in found):
                found.append(each)
                todo.extend([*each.arms, *each.sources, *each.nested])
        return found

    @property
    def is_one_row(self) -> bool:
        """Whether its shape alone says that it returns one row at most."""
        if self.has_limit and self.limit == 1:
            return True
        if self.arms:
            return False
        return (self.is_aggregate and not self.is_grouped) or not (self.names or self.sources)
