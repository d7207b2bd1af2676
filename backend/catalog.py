"""What the database says about tables: columns, primary keys, foreign keys, and which keys an index serves.

Read from pg_catalog in one round trip, for the tables that are asked for alone, so a database of thousands of
tables costs no more than a small one. No session state, no lock: it works in the caller's transaction and behind
PgBouncer. A name is looked up as the server would: through the search path, or as `schema.table`.
Must not import Flask, the pool or nodes. If this is wrong, trees join on the wrong columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from .errors import SchemaError
from .rows import only_value

TableName = str | tuple[str, str]  # as the caller writes it; a pair is (schema, table), whatever dots it has
SHOWN = 8  # choices in a message; all of them are in SchemaError.choices

# An expression in an index has no attribute, and so a null among the columns. LIMIT 1 takes nothing away; without
# it the planner reads all of pg_class in the order of names, once per table. A key that refers to a partitioned
# table has a row for each partition of it besides: the same key again.
_READ = """
    WITH named AS MATERIALIZED (
        SELECT c.oid, CASE WHEN n.oid = pg_my_temp_schema() THEN 'pg_temp' ELSE n.nspname END AS nspname,
               c.relname, c.relkind, c.relpages
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = ANY(%(names)s::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    )
    SELECT row_to_json(document)::text FROM (SELECT
      ARRAY(SELECT r FROM (
        SELECT t.oid::bigint AS id, t.nspname AS schema, t.relname AS name, t.relkind AS kind, t.relpages AS pages,
               pg_table_is_visible(t.oid) AS visible, t.oid::regclass::text AS label,
               ARRAY(SELECT r FROM (
                 SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null
                 FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
                 ORDER BY a.attnum) r) AS columns,
               ARRAY(SELECT r FROM (
                 SELECT x.relname AS name, i.indisunique AS unique, i.indisprimary AS primary, x.method,
                        pg_get_expr(i.indpred, i.indrelid) AS predicate,
                        ARRAY(SELECT (SELECT a.attname::text FROM pg_attribute a
                                      WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[place])
                              FROM generate_series(0, i.indnkeyatts - 1) place ORDER BY place) AS columns
                 FROM pg_index i CROSS JOIN LATERAL (
                     SELECT c.relname, m.amname AS method FROM pg_class c JOIN pg_am m ON m.oid = c.relam
                     WHERE c.oid = i.indexrelid LIMIT 1) x
                 WHERE i.indrelid = t.oid AND i.indisvalid AND i.indislive ORDER BY x.relname) r) AS indexes
        FROM named t ORDER BY 5 DESC, 2) r) AS tables,
      ARRAY(SELECT r FROM (
        SELECT k.conname AS name, k.conrelid::bigint AS child, k.confrelid::bigint AS parent,
               k.conrelid::regclass::text AS child_name, k.confrelid::regclass::text AS parent_name,
               ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (number, place)
                     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number
                     ORDER BY u.place) AS columns,
               ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (number, place)
                     JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number
                     ORDER BY u.place) AS parent_columns
        FROM pg_constraint k
        WHERE k.contype = 'f' AND (k.conrelid IN (SELECT oid FROM named) OR k.confrelid IN (SELECT oid FROM named))
          AND NOT EXISTS (SELECT FROM pg_constraint up WHERE up.oid = k.conparentid AND up.conrelid = k.conrelid)
        ORDER BY k.conrelid::regclass::text, k.conname) r) AS keys) document"""

_ALL_NAMES = """
    SELECT to_json(ARRAY(SELECT r FROM (
        SELECT n.nspname AS schema, c.relname AS name, pg_table_is_visible(c.oid) AS visible
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
          AND n.nspname !~ '^pg_toast' AND NOT c.relispartition
        ORDER BY 3 DESC, 1, 2 LIMIT 10000) r))::text"""


@dataclass(frozen=True)
class Column:
    """A column; `type` is as `format_type` prints it."""

    name: str
    type: str
    not_null: bool


@dataclass(frozen=True)
class Index:
    """A valid index; an expression among its key columns is None."""

    name: str
    columns: tuple[str | None, ...]
    unique: bool
    primary: bool
    method: str
    predicate: str | None

    def serves(self, columns: Sequence[str]) -> bool:
        """Tell whether rows are found in it by the equality of just these columns, in whatever order."""
        leading = self.columns[: len(columns)]
        return (
            self.method in ("btree", "hash") and set(leading) == set(columns) and self.holds_all_rows(columns)
        )

    def holds_all_rows(self, columns: Sequence[str]) -> bool:
        """Tell whether a row that equals something in these columns is in the index for sure."""
        if self.predicate is None:
            return True
        parts = {part.strip("() ") for part in self.predicate.split(" AND ")}
        return parts <= {f"{name} IS NOT NULL" for column in columns for name in (column, f'"{column}"')}


@dataclass(frozen=True)
class Table:
    """A table, partitioned table, view or foreign table, with its columns in their order.

    Attributes:
        kind: as in pg_class.relkind.
        pages: its size when it was last analyzed or vacuumed; 0 when it never was, or was empty.
        label: the name as SQL writes it, with quotes and schema where they are needed.
    """

    id: int
    schema: str
    name: str
    kind: str
    pages: int
    visible: bool
    label: str
    columns: dict[str, Column]
    indexes: tuple[Index, ...]

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Return the columns of the primary key, in its order; empty when there is none."""
        return next((_plain(index.columns) for index in self.indexes if index.primary), ())

    def has_index_for(self, columns: Sequence[str]) -> bool:
        """Tell whether an index finds rows by these columns: they lead it, in whatever order."""
        return any(index.serves(columns) for index in self.indexes)

    def is_unique(self, columns: Iterable[str]) -> bool:
        """Tell whether at most one row has given values in these columns."""
        known = set(columns)
        return any(
            index.unique and index.predicate is None and set(index.columns) <= known for index in self.indexes
        )

    def column(self, name: str) -> Column:
        """Return a column.

        Raises:
            SchemaError: there is none of that name.
        """
        if name in self.columns:
            return self.columns[name]
        names = list(self.columns)
        raise SchemaError(f"{self.label} has no column {name!r}{_hint(name, names)}", names)


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key: `columns` of the child refer to `parent_columns` of the parent, pair by pair."""

    name: str
    child: int
    parent: int
    child_name: str
    parent_name: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]

    def is_meant_by(self, name: str) -> bool:
        """Tell whether this is the constraint's name or one of its columns."""
        return name == self.name or name in self.columns

    def __str__(self) -> str:
        own, theirs = ", ".join(self.columns), ", ".join(self.parent_columns)
        return f"{self.name}: {self.child_name} ({own}) -> {self.parent_name} ({theirs})"


@dataclass(frozen=True)
class Catalog:
    """The tables that were asked for, and all foreign keys from and to them."""

    tables: tuple[Table, ...]
    keys: tuple[ForeignKey, ...]

    def matches(self, name: TableName) -> list[Table]:
        """Return the tables that a name can mean: the visible one, else those in the schema it names."""
        if isinstance(name, str):
            visible = [table for table in self.tables if table.visible and table.name == name]
            return visible or [table for table in self.tables if f"{table.schema}.{table.name}" == name]
        return [table for table in self.tables if (table.schema, table.name) == name]

    def table(self, name: TableName) -> Table:
        """Return the table of that name, one of those that were read.

        Raises:
            SchemaError: no table has that name, or two have.
        """
        found = self.matches(name)
        if len(found) == 1:
            return found[0]
        pairs = [repr((table.schema, table.name)) for table in found]
        raise SchemaError(f"{name!r} is {len(found)} tables; write one of {', '.join(pairs)}", pairs)

    def keys_between(self, child: Table, parent: Table) -> list[ForeignKey]:
        """Return the foreign keys of one table that refer to the other."""
        return [key for key in self.keys if (key.child, key.parent) == (child.id, parent.id)]

    def keys_of(self, *tables: Table) -> list[str]:
        """Return the foreign keys from or to these tables, as a message shows them."""
        ids = {table.id for table in tables}
        return [str(key) for key in self.keys if {key.child, key.parent} & ids]

    def without_index(self) -> list[ForeignKey]:
        """Return the foreign keys whose child is known here and has no index that serves the key."""
        tables = {table.id: table for table in self.tables}
        return [
            key for key in self.keys
            if key.child in tables and not tables[key.child].has_index_for(key.columns)
        ]  # fmt: skip


def read_catalog(conn: Any, names: Iterable[TableName]) -> Catalog:
    """Read these tables, and all foreign keys from and to them, in one round trip.

    Args:
        conn: a connection.
        names: tables as the server finds them, as `schema.table`, or as pairs of both.

    Raises:
        SchemaError: a name that no table has; the closest ones are in the message, all in its `choices`.
    """
    wanted = list(names)
    catalog = read_known(conn, wanted)
    for name in wanted:
        if not catalog.matches(name):
            raise _no_such_table(conn, name)
    return catalog


def read_known(conn: Any, names: Iterable[TableName]) -> Catalog:
    """Read as `read_catalog` does, and pass over names that no table has."""
    found = _fetch(conn, _READ, {"names": sorted({last for name in names for last in _last_names(name)})})
    return Catalog(tuple(map(_table, found["tables"])), tuple(map(_key, found["keys"])))


def _fetch(conn: Any, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """Return the one JSON value of a statement, whatever the connection's cursors make of rows."""
    with conn.cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    return json.loads(only_value(row))


def _last_names(name: TableName) -> list[str]:
    """Return what the table itself may be called: a dot may part schema and table, or be part of either."""
    if not isinstance(name, str):
        return [name[1]]
    return [name, *(name[place + 1 :] for place, letter in enumerate(name) if letter == ".")]


def _table(row: dict[str, Any]) -> Table:
    columns = {column["name"]: Column(**column) for column in row.pop("columns")}
    indexes = tuple(Index(**{**index, "columns": tuple(index["columns"])}) for index in row.pop("indexes"))
    return Table(columns=columns, indexes=indexes, **row)


def _key(row: dict[str, Any]) -> ForeignKey:
    return ForeignKey(
        **{**row, "columns": tuple(row["columns"]), "parent_columns": tuple(row["parent_columns"])}
    )


def _plain(columns: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(column for column in columns if column is not None)


def _no_such_table(conn: Any, name: TableName) -> SchemaError:
    rows = _fetch(conn, _ALL_NAMES)
    choices = [row["name"] if row["visible"] else f"{row['schema']}.{row['name']}" for row in rows]
    text = name if isinstance(name, str) else ".".join(name)
    # A table that is there, in a schema that is not searched, is what is most often meant.
    elsewhere = [choice for choice in choices if choice.rpartition(".")[2] == text]
    return SchemaError(f"no table {text!r} is visible{_hint(text, elsewhere or choices)}", choices)


def _hint(name: str, choices: Sequence[str]) -> str:
    """Return the end of a message: the closest choice first, then what else there is."""
    if not choices:
        return "; there is none at all"
    close = get_close_matches(name, choices, n=1, cutoff=0.6)
    shown = ", ".join(choices[:SHOWN]) + (f" and {len(choices) - SHOWN} more" if len(choices) > SHOWN else "")
    return f"; did you mean {close[0]!r}? There are {shown}" if close else f"; there are {shown}"
