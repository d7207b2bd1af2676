"""Indexes that the workload lacks: from the uses of its statements, one proposal for all that it serves.

Equality first, the most selective column in front; then the sort of a LIMIT, or one range. Nothing is proposed
where an index begins with a column that is asked for, on small tables, for columns with few values, or where a
foreign key lacks its index: another rule. If this is wrong, writes pay for an index without readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..catalog import Catalog, Index, Key, Table
from ..names import quoted
from .column_statistics import ColumnStatistics, column_statistics
from .statements import Asked
from .uses import Block, Use, blocks_of

if TYPE_CHECKING:
    from ..target import Target

MOST_KEYS = 3
FEW = 20  # values of a column: one in twenty rows is read faster from end to end
_OPCLASS = {"jsonb": {"@>": "jsonb_path_ops"}}


@dataclass
class Proposal:
    """An index that is not there.

    Attributes:
        why: "filter", "join", "sort", "contains" or "pattern".
        keys: As SQL writes them.
        columns: What they are of, unquoted.
        method: "" for a B-tree, else "gin".
        asked: The statements that it serves.
        needs: An extension that has to be there, "pg_trgm"; "" for none.
    """

    table: Table
    why: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    method: str = ""
    asked: list[Asked] = field(default_factory=list)
    needs: str = ""

    @property
    def calls(self) -> int:
        """How often its statements were called."""
        return sum(each.calls for each in self.asked)


def proposals(target: Target) -> list[Proposal]:
    """Return the proposals of a target's workload, each once; a shorter one is part of a longer one's.

    Raises:
        NotSeen: the workload cannot be read.
    """

    def work_out() -> list[Proposal]:
        workload, catalog = target.workload, target.catalog
        found: dict[tuple[int, str, tuple[str, ...]], Proposal] = {}
        known: dict[int, dict[str, ColumnStatistics]] = {}
        for asked in workload.statements:
            for block in blocks_of(catalog, asked.tree):
                for made in _Of(target, block, known).all():
                    first = found.setdefault((made.table.oid, made.method, made.keys), made)
                    if asked not in first.asked:
                        first.asked.append(asked)
        return sorted(_merged(found.values()), key=lambda each: (each.table.full, each.keys))

    return target.once("proposals", work_out)


def _merged(found: Iterable[Proposal]) -> Iterator[Proposal]:
    """Yield proposals that no other one of the table begins with; those give their statements to the longer."""
    made = sorted(found, key=lambda each: -len(each.keys))
    for number, each in enumerate(made):
        longer = next((other for other in made[:number] if _begins(other, each)), None)
        if longer is None:
            yield each
        else:
            longer.asked.extend(asked for asked in each.asked if asked not in longer.asked)


def _begins(longer: Proposal, short: Proposal) -> bool:
    return (
        longer.table is short.table and longer.method == short.method == ""
        and longer.keys[: len(short.keys)] == short.keys
    )  # fmt: skip


class _Of:
    """The proposals of one block."""

    def __init__(self, target: Target, block: Block, known: dict[int, dict[str, ColumnStatistics]]) -> None:
        self._target, self._block, self._known = target, block, known
        self._catalog: Catalog = target.catalog

    def all(self) -> Iterator[Proposal]:
        """Yield them, table by table."""
        tables = {id(each): each for each in self._block.tables.values() if each is not None}
        for table in tables.values():
            if max(table.rows, self._catalog.counted(table.oid).live) >= self._target.options.table_rows:
                yield from self._of_table(table)

    def _of_table(self, table: Table) -> Iterator[Proposal]:
        uses = self._block.of(table)
        sorts = [each for each in self._block.sorts if each.table is table]
        yield from (made for each in uses if (made := self._special(table, each)))
        equal = [each for each in uses if each.how == "equal"]
        joined = [each for each in uses if each.how == "join"]
        ranges = [each for each in uses if each.how == "range"]
        if any(self._is_served(table, each) for each in [*equal, *joined]):
            return  # rows are found already; what is left to filter are few
        wanted = self._selective(table, equal)
        if wanted:
            yield self._made(table, "filter", wanted, sorts, ranges)
        elif equal and not joined and not ranges and not sorts:
            return
        elif joined:
            yield from self._joins(table, joined)
        elif ranges and not any(self._is_served(table, each) for each in ranges):
            yield from self._ranges(table, ranges)
        elif sorts and not ranges and not equal and not self._is_sorted(table, sorts):
            yield self._made(table, "sort", [], sorts, [])

    def _is_served(self, table: Table, use: Use) -> bool:
        """Whether an index begins with what is asked for."""
        for index in self._catalog.of(table.oid):
            first = index.keys[0] if index.keys else None
            if first is None or not index.is_valid or not Catalog.is_harmless(index.predicate, [use.column.name]):
                continue
            if use.expression:
                function = use.expression.partition("(")[0]
                if function in first.text and f"({use.column.name}" in first.text:
                    return True
            elif first.column == use.column.name and index.method in ("btree", "hash", "brin"):
                return True
        return False

    def _is_sorted(self, table: Table, sorts: list[Use]) -> bool:
        wanted = [(each.column.name, each.is_desc, each.nulls_first) for each in sorts]
        turned = [(name, not is_desc, not first) for name, is_desc, first in wanted]
        for index in self._catalog.of(table.oid):
            have = [(key.column, key.is_desc, key.nulls_first) for key in index.keys[: len(wanted)]]
            unique_first = index.is_unique and have[:1] in (wanted[:1], turned[:1])
            if index.method == "btree" and index.is_valid and (have in (wanted, turned) or unique_first):
                return True
            # The first column sorted, the rest is sorted within equal ones (incremental sort, PostgreSQL 13).
            if self._target.server.version >= 13 and have[:1] in (wanted[:1], turned[:1]) and len(wanted) > 1:
                return True
        return False

    def _statistics(self, table: Table) -> dict[str, ColumnStatistics]:
        if table.oid not in self._known:
            self._known[table.oid] = column_statistics(self._target.session, table)
        return self._known[table.oid]

    def _selective(self, table: Table, uses: list[Use]) -> list[Use]:
        """Return the equalities that pick few rows, the most selective first, each column once."""
        known = self._statistics(table)
        found = {each.expression or each.column.name: each for each in uses if each.column.base != "bool"}

        def values(use: Use) -> float:
            statistics = known.get(use.column.name)
            return statistics.distinct_of(table.rows) if statistics else 0.0

        picked = [each for each in found.values() if values(each) > FEW and not self._is_foreign_key(table, each)]
        return sorted(picked, key=values, reverse=True)[:MOST_KEYS]

    def _is_foreign_key(self, table: Table, use: Use) -> bool:
        """Whether the index that is missing is a foreign key's."""
        return any(
            key.table == table.oid and use.column.name in key.columns
            and self._catalog.covering(table.oid, key.columns) is None
            for key in self._catalog.foreign_keys
        )  # fmt: skip

    def _joins(self, table: Table, joined: list[Use]) -> Iterator[Proposal]:
        """Yield what the inner side of a join lacks: the side with more rows is looked up by the other."""
        for each in joined:
            other = each.other
            if other is None or self._is_foreign_key(table, each) or other[0].rows > table.rows:
                continue
            if self._selective(table, [each]):
                yield self._made(table, "join", [each], [], [])

    def _ranges(self, table: Table, ranges: list[Use]) -> Iterator[Proposal]:
        known = self._statistics(table)
        for each in ranges[:1]:
            statistics = known.get(each.column.name)
            if statistics and statistics.distinct_of(table.rows) > FEW and not each.expression:
                yield self._made(table, "filter", [], [], [each])

    def _made(self, table: Table, why: str, equal: list[Use], sorts: list[Use], ranges: list[Use]) -> Proposal:
        keys = [each.expression or quoted(each.column.name) for each in equal]
        columns = [each.column.name for each in equal]
        if sorts:
            for each in sorts:
                if each.column.name not in columns:
                    keys.append(quoted(each.column.name) + _direction(each))
                    columns.append(each.column.name)
        elif ranges and ranges[0].column.name not in columns and not ranges[0].expression:
            keys.append(quoted(ranges[0].column.name))
            columns.append(ranges[0].column.name)
        return Proposal(table, why, tuple(keys), tuple(columns))

    def _special(self, table: Table, use: Use) -> Proposal | None:
        if use.how == "contains":
            return self._gin(table, use)
        return self._pattern(table, use) if use.how == "pattern" and not use.expression else None

    def _gin(self, table: Table, use: Use) -> Proposal | None:
        base, name = use.column.base, use.column.name
        if base not in ("jsonb", "tsvector") and not base.startswith("_"):
            return None
        if any(name in each.columns and each.method == "gin" and each.is_valid for each in self._of_index(table)):
            return None
        opclass = _OPCLASS.get(base, {}).get(use.operator, "")
        return Proposal(table, "contains", (f"{quoted(name)} {opclass}".strip(),), (name,), "gin")

    def _pattern(self, table: Table, use: Use) -> Proposal | None:
        name, is_anchored = use.column.name, use.pattern and use.pattern[0] not in "%_" and use.operator == "~~"
        if any(_serves_pattern(each.keys, name, bool(is_anchored)) for each in self._of_index(table)):
            return None
        if is_anchored:
            return Proposal(table, "pattern", (f"{quoted(name)} text_pattern_ops",), (name,))
        return Proposal(table, "pattern", (f"{quoted(name)} gin_trgm_ops",), (name,), "gin", needs="pg_trgm")

    def _of_index(self, table: Table) -> list[Index]:
        return self._catalog.of(table.oid)


def _serves_pattern(keys: Iterable[Key], name: str, is_anchored: bool) -> bool:
    for key in keys:
        opclass, column, text = key.opclass, key.column, key.text
        if "trgm" in opclass and (column == name or name in text):
            return True
        if is_anchored and column == name and ("pattern" in opclass or key.collation == "C"):
            return True
    return False


def _direction(use: Use) -> str:
    """Return the words behind a sorted column; the defaults are left out."""
    nulls = "" if use.nulls_first == use.is_desc else (" NULLS FIRST" if use.nulls_first else " NULLS LAST")
    return f"{' DESC' if use.is_desc else ''}{nulls}"
