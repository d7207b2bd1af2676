"""What will be made: each table with its types, then all that is added after the data; and what stands in the
way.

Nothing is written from here. `problems` stop the run; `notes` are for the reader; `lost` is what PostgreSQL
will not have.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from .choose import candidates
from .expressions import Named
from .names import column_name, folded
from .scan import Counts, examples, orphans, scan
from .schema import Column, Schema, Table, read_schema
from .source import Source

# Who asks for text or bytea means all values, whatever they are stored as.
_WISHED = {"text": "any text", "bytea": "any bytes"}
_SHOWN = {"any text": "text", "any bytes": "bytea"}
MOST_COLUMNS = 1600  # PostgreSQL's limit of one table


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for."""

    schema: str = "public"
    tables: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    types: tuple[tuple[str, str, str], ...] = ()
    misfits: str = "stop"
    orphans: str = "stop"
    nocase: str = "citext"
    names: str = "fold"


@dataclass(frozen=True)
class NewColumn:
    """A column to be: `kind` says how values are moved, `type` stands in the DDL."""

    source: Column
    name: str
    kind: str
    type: str
    not_null: bool
    identity: bool


@dataclass(frozen=True)
class NewTable:
    """A table to be; `null_key` where SQLite's primary key holds NULLs."""

    source: Table
    name: str
    columns: tuple[NewColumn, ...]
    rows: int
    null_key: bool

    def kinds(self) -> list[tuple[str, str]]:
        """Return each column's name and kind."""
        return [(column.name, column.kind) for column in self.columns]

    def named(self) -> dict[str, Named]:
        """Return the columns as expressions look for them."""
        return {column.source.name.lower(): Named(column.name, column.type) for column in self.columns}


@dataclass
class Plan:
    """All that will be made, and all that was found."""

    wishes: Wishes
    schema: Schema
    tables: list[NewTable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Return the rows of all tables."""
        return sum(table.rows for table in self.tables)

    def table(self, name: str) -> NewTable | None:
        """Return the table of SQLite's name, in any case."""
        return next((table for table in self.tables if table.source.name.lower() == name.lower()), None)


def make_plan(source: Source, wishes: Wishes, say: Callable[[int, int, str], None]) -> Plan:
    """Read the schema and every value; `say` hears the tables done, of how many, and the one that is read."""
    plan = Plan(wishes, read_schema(source.connection))
    _check_wishes(plan)
    chosen = [table for table in plan.schema.tables if _is_chosen(table.name, wishes)]
    for number, table in enumerate(chosen):
        say(number, len(chosen), table.name)
        _add_table(source, plan, table)
    for kind, name, text in plan.schema.others:
        if _is_chosen(name, wishes):
            _say_other(plan, kind, name, text)
    _check_names(plan)
    return plan


def _is_chosen(name: str, wishes: Wishes) -> bool:
    own = name.lower()
    return own not in wishes.exclude and (not wishes.tables or own in wishes.tables)


def _check_wishes(plan: Plan) -> None:
    known = {table.name.lower() for table in plan.schema.tables} | {
        name.lower() for _, name, _ in plan.schema.others
    }
    for name in sorted((plan.wishes.tables | plan.wishes.exclude) - known):
        plan.problems.append(f"no table {name} in the file; it has {', '.join(sorted(known)) or 'none'}")
    columns = {
        (table.name.lower(), column.name.lower()) for table in plan.schema.tables for column in table.columns
    }
    for table, column, _ in plan.wishes.types:
        if (table, column) not in columns:
            plan.problems.append(f"--type {table}.{column}: there is no such column")


def _add_table(source: Source, plan: Plan, table: Table) -> None:
    if not 0 < len(table.columns) <= MOST_COLUMNS:
        plan.problems.append(f"{table.name} has {len(table.columns)} columns; PostgreSQL takes {MOST_COLUMNS}")
        return
    wished = {column: kind for name, column, kind in plan.wishes.types if name == table.name.lower()}
    lists = {column.name: _candidates(column, table, wished, plan.wishes) for column in table.columns}
    try:
        counts = scan(source, table, lists)
        columns = [_column(source, plan, table, column, lists[column.name], counts) for column in table.columns]
        broken = list(orphans(source, table)) if table.foreign_keys else []
    except sqlite3.DatabaseError as error:
        plan.problems.append(f"{table.name} cannot be read to its end: {error}; try: sqlite3 FILE .recover")
        return
    if plan.wishes.orphans == "stop":
        plan.problems.extend(
            f"{table.name}: {count:,} rows refer to no row of {parent} (first: rowid {row}); delete or "
            f"mend them, or "
            "give --orphans keep" for parent, row, count in broken if count > 0
        )  # fmt: skip
    nulls = [key for key in table.primary_key if counts.nulls[key]]
    if nulls:
        plan.notes.append(f"{table.name}: NULL in the primary key ({', '.join(nulls)}), which SQLite allows and "
                          "PostgreSQL does not; it becomes UNIQUE")  # fmt: skip
    made = tuple(column for column in columns if column)
    plan.tables.append(
        NewTable(table, folded(table.name, plan.wishes.names == "keep"), made, counts.rows, bool(nulls))
    )


def _candidates(column: Column, table: Table, wished: dict[str, str], wishes: Wishes) -> list[str]:
    if column.name.lower() in wished:
        kind = wished[column.name.lower()]
        return [_WISHED.get(kind, kind)]
    if column.name == table.row_number:
        return ["bigint"]
    found = candidates(column.declared)
    return found if wishes.misfits == "stop" or "any text" in found else [*found, "any text"]


def _column(
    source: Source, plan: Plan, table: Table, column: Column, kinds: list[str], counts: Counts
) -> NewColumn | None:
    label = f"{table.name}.{column.name}"
    misfits = {kind: counts.misfits[column.name, kind] for kind in kinds}
    kind = next((name for name in kinds if not misfits[name]), None)
    if kind is None:
        closest = min(kinds, key=lambda name: misfits[name])
        what = "; ".join(examples(source, table, column.name, closest))
        plan.problems.append(
            f"{label} is declared {column.declared or 'nothing'}, and {misfits[closest]:,} of "
            f"{counts.rows:,} values are no {closest}: {what}; {_way_out(plan, label)}"
        )
        return None
    if kind != kinds[0]:
        what = "; ".join(examples(source, table, column.name, kinds[0]))
        plan.notes.append(f"{label} ({column.declared or 'no type'}) becomes {_SHOWN.get(kind, kind)}: "
                          f"{misfits[kinds[0]]:,} values are no {kinds[0]}: {what}")  # fmt: skip
    if column.generated:
        plan.lost.append(f"{label}: its values are copied, the rule that generates them is not")
    named = column_name(column.name, plan.wishes.names == "keep")
    not_null = column.not_null and not counts.nulls[column.name]
    return NewColumn(column, named, kind, _type(plan, column, kind), not_null, column.name == table.row_number)


def _way_out(plan: Plan, label: str) -> str:
    if plan.wishes.misfits == "text":
        return f"text holds neither NUL nor what is not UTF-8: mend them, or give --type {label}=bytea"
    return f"mend them, or give --on-mismatch text, or --type {label}=TYPE"


def _type(plan: Plan, column: Column, kind: str) -> str:
    if column.collation == "NOCASE" and (kind in ("text", "any text") or kind.startswith("varchar")):
        return "citext" if plan.wishes.nocase == "citext" else kind
    return _SHOWN.get(kind, kind)


def _say_other(plan: Plan, kind: str, name: str, text: str) -> None:
    if kind != "virtual table":
        plan.lost.append(f"{kind} {name} is not translated: {' '.join(text.split())[:160]}")
    elif "content=" in "".join(text.split()).lower():
        plan.lost.append(f"virtual table {name} is an index of another table; use tsvector or pg_trgm instead")
    else:
        plan.problems.append(f"virtual table {name} holds data of its own that is not copied; copy it "
                             f"into a table "
                             f"first, or give --exclude {name}")  # fmt: skip


def _check_names(plan: Plan) -> None:
    for table in plan.tables:
        if table.name != table.source.name:
            plan.notes.append(f"table {table.source.name} becomes {table.name}")
        names = [column.name for column in table.columns]
        for twice in sorted({name for name in names if names.count(name) > 1}):
            plan.problems.append(f"{table.source.name} would have the column {twice} twice")
    names = [table.name for table in plan.tables]
    for twice in sorted({name for name in names if names.count(name) > 1}):
        plan.problems.append(f"two tables would have the name {twice}")
