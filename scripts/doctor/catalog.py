"""Tables, indexes, keys and sequences as the server has them, and the question that rules ask: what covers these?

Filled by `reading.py`, in a fixed number of questions whatever the size of the schema. System schemas, temporary
tables and what belongs to an extension are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .names import qualified, quoted

_SEARCHING = ("btree", "hash", "gist", "spgist", "gin")  # BRIN leads to ranges of pages, not to rows


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        number: attnum.
        type: As format_type writes it: "numeric(10,2)".
        base: The type's own name, "numeric"; of an array "_numeric"; of a domain, its base type's.
        collation: Its name, "" for none and for the database's default.
        default: The expression; "" for none.
        identity: "a" always, "d" by default, "" for none.
    """

    number: int
    name: str
    type: str
    base: str
    not_null: bool
    collation: str = ""
    default: str = ""
    identity: str = ""


@dataclass(frozen=True)
class Table:
    """A table, a partitioned table or a materialized view.

    Attributes:
        kind: "r", "p" (partitioned) or "m".
        rows: The server's estimate; -1 when it was never counted.
        pages: As of the last vacuum or analyze.
        is_partition: Whether it is part of another one; rules look at that one.
        options: Storage options, "autovacuum_enabled" and so on.
        persistence: "p" permanent, "u" unlogged.
        comment: COMMENT ON TABLE.
    """

    oid: int
    schema: str
    name: str
    kind: str
    rows: float
    pages: int
    is_partition: bool
    options: Mapping[str, str]
    persistence: str
    comment: str
    columns: tuple[Column, ...]

    @property
    def full(self) -> str:
        """Its name with the schema, as SQL writes it."""
        return qualified(self.schema, self.name)

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Its columns by name."""
        return {each.name: each for each in self.columns}

    def column(self, name: str) -> str:
        """Return the full name of a column, as SQL writes it."""
        return f"{self.full}.{quoted(name)}"


@dataclass(frozen=True)
class Key:
    """One key of an index.

    Attributes:
        column: Its name; "" for an expression.
        text: As pg_get_indexdef writes it: a quoted column or an expression.
        opclass: The operator class; "" for the type's default.
        is_desc, nulls_first: How it is sorted.
        collation: When it is not the column's own.
    """

    column: str
    text: str
    opclass: str = ""
    is_desc: bool = False
    nulls_first: bool = False
    collation: str = ""


@dataclass(frozen=True)
class Index:
    """An index.

    Attributes:
        table: oid of its table.
        included: Columns of INCLUDE.
        predicate: Of a partial index; "" for none.
        constraint: The name of the constraint that it serves; "" for none.
        is_valid: False after a CREATE INDEX CONCURRENTLY that failed.
        definition: CREATE INDEX as pg_get_indexdef writes it.
        scans: Since the counters began; on this server.
        is_partition: Whether it is part of a partitioned table's index.
        is_replica_identity: Whether logical replication tells rows apart by it.
        is_clustered: Whether CLUSTER sorts the table by it.
    """

    oid: int
    schema: str
    name: str
    table: int
    method: str
    keys: tuple[Key, ...]
    included: tuple[str, ...]
    predicate: str
    is_unique: bool
    is_primary: bool
    is_exclusion: bool
    is_valid: bool
    constraint: str
    definition: str
    pages: int
    rows: float
    scans: int
    is_partition: bool
    is_replica_identity: bool
    comment: str
    is_clustered: bool = False

    @property
    def full(self) -> str:
        """Its name with the schema, as SQL writes it."""
        return qualified(self.schema, self.name)

    @property
    def columns(self) -> tuple[str, ...]:
        """Its keys' columns; "" for an expression."""
        return tuple(each.column for each in self.keys)


@dataclass(frozen=True)
class ForeignKey:
    """Columns of one table that refer to another's.

    Attributes:
        table, target: oids.
        on_delete: "a" no action, "r" restrict, "c" cascade, "n" set null, "d" set default.
        is_validated: False after NOT VALID.
    """

    name: str
    table: int
    columns: tuple[str, ...]
    target: int
    target_columns: tuple[str, ...]
    on_delete: str
    is_validated: bool


@dataclass(frozen=True)
class Sequence:
    """A sequence.

    Attributes:
        last: The last value given out; None for none yet, or when the role may not see it.
        table, column: What owns it: oid and name; 0 and "" for none.
        type: "integer", "bigint", "smallint".
    """

    schema: str
    name: str
    type: str
    last: int | None
    lowest: int
    highest: int
    increment: int
    cycles: bool
    table: int
    column: str

    @property
    def full(self) -> str:
        """Its name with the schema, as SQL writes it."""
        return qualified(self.schema, self.name)


@dataclass(frozen=True)
class Statistics:
    """What the server counts of one table, and says of its columns.

    Attributes:
        inserts, updates, deletes: Rows since the counters began.
        live, dead: Rows, as the server counts them.
        changed: Rows changed since the last ANALYZE.
        seq_scans, seq_rows, index_scans: Since the counters began.
        vacuumed, analyzed: Seconds since the last one of either kind (by hand or auto); None for never.
    """

    seq_scans: int = 0
    seq_rows: int = 0
    index_scans: int = 0
    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    live: int = 0
    dead: int = 0
    changed: int = 0
    vacuumed: float | None = None
    analyzed: float | None = None


@dataclass
class Catalog:
    """All of it, by oid.

    Attributes:
        database_comment: COMMENT ON DATABASE.
        column_comments: By the column's full name.
    """

    tables: dict[int, Table] = field(default_factory=dict)
    indexes: list[Index] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    sequences: list[Sequence] = field(default_factory=list)
    statistics: dict[int, Statistics] = field(default_factory=dict)
    database_comment: str = ""
    column_comments: dict[str, str] = field(default_factory=dict)

    @cached_property
    def _by_table(self) -> dict[int, list[Index]]:
        found: dict[int, list[Index]] = {}
        for each in self.indexes:
            found.setdefault(each.table, []).append(each)
        return found

    @cached_property
    def _by_name(self) -> dict[str, list[Table]]:
        found: dict[str, list[Table]] = {}
        for each in self.tables.values():
            found.setdefault(each.name, []).append(each)
        return found

    def of(self, table: int) -> list[Index]:
        """Return a table's indexes, invalid ones among them."""
        return self._by_table.get(table, [])

    def named(self, name: str, schema: str = "") -> Table | None:
        """Return a table by its name; without a schema, public's or else the only one."""
        found = [each for each in self._by_name.get(name, []) if schema in ("", each.schema)]
        return next((each for each in found if each.schema == "public"), found[0] if len(found) == 1 else None)

    def counted(self, table: int) -> Statistics:
        """Return what is counted of a table; zeroes for one that the server does not count."""
        return self.statistics.get(table, Statistics())

    def index_names(self, schema: str) -> set[str]:
        """Return the names that a new index in a schema cannot have."""
        return {each.name for each in self.indexes if each.schema == schema} | {
            each.name for each in self.tables.values() if each.schema == schema
        }

    def covering(self, table: int, columns: Iterable[str]) -> Index | None:
        """Return a valid index whose leading columns are these, in any order.

        A partial one counts when it leaves out only rows where one of these is NULL, for equality never asks for
        those. Hash has one key, and GIN no order of keys: they count for what they have.
        """
        wanted = set(columns)
        for index in self.of(table):
            if not index.is_valid or index.method not in _SEARCHING:
                continue
            keys = index.keys if index.method == "gin" else index.keys[: len(wanted)]
            leading = {each.column for each in keys if not each.collation}  # another collation's "=" is not ours
            if wanted <= leading and self.is_harmless(index.predicate, wanted):
                return index
        return None

    @staticmethod
    def is_harmless(predicate: str, columns: Iterable[str]) -> bool:
        """Whether a partial index has every row that equality on some columns can find."""
        harmless = {f"({quoted(each)} IS NOT NULL)" for each in columns}
        return predicate == "" or predicate in harmless or set(predicate[1:-1].split(" AND ")) <= harmless
