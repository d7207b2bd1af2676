"""Tables, keys and indexes, and the question that rules ask: which index covers these columns?

Only what DDL in the project says. An index that was made by hand on the server is not known; if one is missing
here, a finding asks for an index that exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..finding import Place


@dataclass(frozen=True)
class Index:
    """An index, or what makes one: a primary key, a UNIQUE, an EXCLUDE.

    Attributes:
        keys: Its columns in order, in lower case; an expression as "lower(name)", "" for one that is not
            understood.
        predicate: Of a partial index: "" for none, else the column of `column IS NOT NULL`, or "?" for anything
            else.
        method: "btree", "gin", ...
        operators: Operator classes that are named, "gin_trgm_ops".
        kind: "primary key", "unique", "index" or "exclude".
    """

    table: str
    keys: tuple[str, ...]
    place: Place
    kind: str = "index"
    is_unique: bool = False
    predicate: str = ""
    method: str = "btree"
    operators: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignKey:
    """Columns of one table that refer to another's; `on_delete` is "cascade", "set null", ..., "" for none."""

    table: str
    columns: tuple[str, ...]
    target: str
    place: Place
    on_delete: str = ""


@dataclass
class Table:
    """A table; `columns` are their types by name, in lower case."""

    name: str
    place: Place
    columns: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)


@dataclass
class Schema:
    """All tables by name, without their schemas."""

    tables: dict[str, Table] = field(default_factory=dict)
    indexes: list[Index] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)

    def covering(self, table: str, columns: Iterable[str]) -> Index | None:
        """Return an index whose leading columns are these, in any order.

        A partial one counts when it leaves out only rows where one of these is NULL.
        """
        wanted = {column.lower() for column in columns}
        for index in self.of(table):
            leading = set(index.keys[: len(wanted)])
            if (
                leading == wanted
                and index.predicate in ("", *wanted)
                and index.method in ("btree", "hash", "brin", "gist", "gin")
            ):
                return index
        return None

    def of(self, table: str) -> list[Index]:
        """Return a table's indexes."""
        return [index for index in self.indexes if index.table == table.lower()]

    def is_unique(self, table: str, columns: Iterable[str]) -> bool:
        """Whether equality on these columns leaves one row at most."""
        given = {column.lower() for column in columns}
        return any(
            index.is_unique and not index.predicate and set(index.keys) <= given for index in self.of(table)
        )

    def has_pattern_index(self, table: str, column: str) -> bool:
        """Whether an index can serve `LIKE '%...%'` on a column: a trigram one."""
        return any(
            any("trgm" in name for name in index.operators) and any(column.lower() in key for key in index.keys)
            for index in self.of(table)
        )
