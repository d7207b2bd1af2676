"""Turns a tree of tables into the nodes of `one` and `many`, with the joins that the catalog knows.

Each level is one SELECT under an alias: the child's name in the tree, at the top the table's own name; a name
that stands further up already gets `_2`. A link table is joined from its own rows, one probe of the other table
for each: a plain join to a small table is planned as a scan of all of it, once per parent.
Must not import Flask or read the database. If this is wrong, a child shows rows of another parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from . import composed
from .catalog import Catalog, ForeignKey, Table, TableName
from .errors import NodeError, SchemaError
from .nested import Node, many, one

LONGEST_NAME = 63  # bytes: PostgreSQL cuts what is longer (NAMEDATALEN - 1)
ALL = "*"


@dataclass(frozen=True)
class Expression:
    """SQL of the caller's own where a column's name could stand."""

    sql: str


@dataclass(frozen=True)
class Level:
    """One table of a tree, as the caller described it.

    Attributes:
        columns: pairs of the name in the JSON, "" for the column's own, and the column.
        order: columns, "-" before what descends; None for the primary key.
        limit: a number, or a parameter as `%(name)s`.
        via: the key to the parent, by its name or one of its columns; with `through` also that to this table.
    """

    table: TableName
    is_list: bool
    columns: tuple[tuple[str, str | Expression], ...]
    where: str | None
    order: tuple[str, ...] | Expression | None
    limit: int | str | None
    via: tuple[str | None, str | None]
    through: TableName | None
    children: Mapping[str, Level | Node]


@dataclass(frozen=True)
class _Place:
    """A table under its alias, and the link table that leads to it."""

    table: Table
    alias: str
    link: Table | None = None
    link_alias: str = ""
    above: frozenset[str] = field(default_factory=frozenset)

    def of(self, column: str) -> str:
        self.table.column(column)
        return f"{identifier(self.alias)}.{identifier(column)}"

    def of_link(self, column: str) -> str:
        return f"{identifier(self.link_alias)}.{identifier(column)}"

    @property
    def aliases(self) -> frozenset[str]:
        return self.above | {self.alias, self.link_alias}


def identifier(name: str) -> str:
    """Quote a name for the text of a node, where a percent sign is doubled."""
    return composed.quoted(name).replace("%", "%%")


def tables_of(level: Level) -> Iterator[TableName]:
    """Yield the tables that a tree names."""
    yield level.table
    if level.through is not None:
        yield level.through
    for child in level.children.values():
        if isinstance(child, Level):
            yield from tables_of(child)


def node_of(level: Level, catalog: Catalog) -> Node:
    """Compile a tree.

    Raises:
        SchemaError: what it names is not there, or several keys fit, or none.
        NodeError: names that clash, or SQL of the caller's that is not well formed.
    """
    table = catalog.table(level.table)
    place = _Place(table, _free(table.name, frozenset()))
    source = f"{_source(level.table, table)} AS {identifier(place.alias)}"
    needs_key = not (level.is_list or level.where or level.limit)
    return _node(level, place, source, _by_primary_key(place) if needs_key else [], catalog)


def _node(level: Level, place: _Place, source: str, conditions: list[str], catalog: Catalog) -> Node:
    children = {
        name: child if isinstance(child, Node) else _child(name, child, place, catalog)
        for name, child in level.children.items()
    }
    columns = list(_columns(level, place))
    _refuse_twice([label for label, _ in columns] + list(children), place.table)
    chosen = [f"{sql} AS {identifier(label)}" for label, sql in columns] + [f"{{{name}}}" for name in children]
    wanted = conditions + ([f"({level.where}\n)"] if level.where else [])
    where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
    make = many if level.is_list else one
    rest = f"{where}{_order(level, place)}{_limit(level)}"
    return make(f"SELECT {', '.join(chosen)} FROM {source}{rest}", **children)


def _child(name: str, level: Level, parent: _Place, catalog: Catalog) -> Node:
    table = catalog.table(level.table)
    alias = _free(name, parent.aliases)
    if level.through is not None:
        return _through(alias, level, parent, catalog)
    place = _Place(table, alias, above=parent.aliases)
    key, is_ours = _key(level, table, parent.table, catalog)
    ours, theirs = (key.columns, key.parent_columns) if is_ours else (key.parent_columns, key.columns)
    conditions = [f"{place.of(own)} = {parent.of(other)}" for own, other in zip(ours, theirs, strict=True)]
    return _node(level, place, f"{_source(level.table, table)} AS {identifier(alias)}", conditions, catalog)


def _through(alias: str, level: Level, parent: _Place, catalog: Catalog) -> Node:
    """Compile a child that a link table leads to."""
    assert level.through is not None
    table, link = catalog.table(level.table), catalog.table(level.through)
    link_alias = _free(link.name, parent.aliases | {alias})
    place = _Place(table, alias, link, link_alias, parent.aliases)
    back = _only(catalog.keys_between(link, parent.table), level.via[0], link, parent.table, catalog)
    on = _only(catalog.keys_between(link, table), level.via[1], link, table, catalog)
    probe = _pairs(zip(map(place.of, on.parent_columns), map(place.of_link, on.columns), strict=True))
    # LIMIT 1 takes nothing away, for the key refers to what is unique; it keeps the probe a probe.
    source = (
        f"{_source(level.through, link)} AS {identifier(link_alias)} CROSS JOIN LATERAL (SELECT * FROM "
        f"{_source(level.table, table)} AS {identifier(alias)} WHERE {probe} LIMIT 1) AS {identifier(alias)}"
    )
    own = _pairs(zip(map(place.of_link, back.columns), map(parent.of, back.parent_columns), strict=True))
    return _node(level, place, source, [own], catalog)


def _pairs(pairs: Iterator[tuple[str, str]]) -> str:
    return " AND ".join(f"{one_side} = {other}" for one_side, other in pairs)


def _key(level: Level, child: Table, parent: Table, catalog: Catalog) -> tuple[ForeignKey, bool]:
    """Choose the key between a child and its parent.

    Returns:
        The key, and whether it is the child that holds it.
    """
    down, up = catalog.keys_between(child, parent), catalog.keys_between(parent, child)
    if level.is_list:
        fits = down
    elif level.limit is not None:
        fits = down or up
    else:
        fits = up + [key for key in down if child.is_unique(key.columns) and key not in up]
    if not fits and (down or up):
        raise SchemaError(_wrong_shape(level, child, parent, (down or up)[0]), [str(key) for key in down + up])
    key = _only(fits, level.via[0], child, parent, catalog)
    return key, key in down and (level.is_list or level.limit is not None or key not in up)


def _wrong_shape(level: Level, child: Table, parent: Table, key: ForeignKey) -> str:
    if level.is_list:
        return f"a row of {parent.label} has one of {child.label} at most ({key}); use one_from()"
    return (
        f"a row of {parent.label} may have many of {child.label} ({key}); use many_from(), or one_from() with an "
        "order and limit=1 for the first"
    )


def _only(fits: list[ForeignKey], via: str | None, child: Table, parent: Table, catalog: Catalog) -> ForeignKey:
    found = [key for key in fits if via is None or key.is_meant_by(via)]
    if len(found) == 1:
        return found[0]
    shown = "; ".join(map(str, found or fits))
    if found:
        raise SchemaError(
            f"{len(found)} foreign keys lie between {child.label} and {parent.label}; choose one by via=, its "
            f"name or a column that only it has: {shown}",
            [str(key) for key in found],
        )
    if fits:
        raise SchemaError(
            f"no foreign key between {child.label} and {parent.label} is called, or has a column, {via!r}: there "
            f"is {shown}",
            [str(key) for key in fits],
        )
    others = catalog.keys_of(child, parent)
    raise SchemaError(
        f"no foreign key lies between {child.label} and {parent.label}; name a link table by through=, or write "
        f"this child as one() or many(). Keys of both: {'; '.join(others) or 'none'}",
        others,
    )


def _by_primary_key(place: _Place) -> list[str]:
    """Return the conditions that find one row by parameters with the names of the primary key's columns."""
    key = place.table.primary_key
    if not key or not all(name.isidentifier() and name.isascii() for name in key):
        said = "has no primary key" if not key else f"has a key whose columns {key} cannot name parameters"
        raise SchemaError(f"{place.table.label} {said}; say which row by where=", list(place.table.columns))
    return [f"{place.of(name)} = %({name})s" for name in key]


def _columns(level: Level, place: _Place) -> Iterator[tuple[str, str]]:
    """Yield each column's name in the JSON and its SQL."""
    for label, column in level.columns:
        if isinstance(column, Expression):
            yield label, f"({column.sql}\n)"
        elif column == ALL and not label and ALL not in place.table.columns:
            yield from ((name, place.of(name)) for name in place.table.columns)
        else:
            name, sql = _column(column, place)
            yield label or name, sql


def _column(name: str, place: _Place) -> tuple[str, str]:
    """Return the plain name and the SQL of a column; `link.column` is one of the link table."""
    if place.link is not None and name not in place.table.columns:
        prefix = f"{place.link.name}."
        if name.startswith(prefix):
            column = place.link.column(name[len(prefix) :])
            return column.name, place.of_link(column.name)
    return name, place.of(name)


def _order(level: Level, place: _Place) -> str:
    if isinstance(level.order, Expression):
        return f" ORDER BY {level.order.sql}\n"
    if not level.is_list and level.limit is None:
        return ""
    items = place.table.primary_key if level.order is None else level.order
    return f" ORDER BY {', '.join(_direction(item, place) for item in items)}" if items else ""


def _direction(item: str, place: _Place) -> str:
    if item.startswith("-") and item not in place.table.columns:
        return f"{_column(item[1:], place)[1]} DESC"
    return _column(item, place)[1]


def _limit(level: Level) -> str:
    return "" if level.limit is None else f" LIMIT {level.limit}"


def _source(name: TableName, table: Table) -> str:
    """Return a table as the caller named it: without a schema the search path goes on deciding."""
    return identifier(table.name) if name == table.name else f"{identifier(table.schema)}.{identifier(table.name)}"


def _refuse_twice(labels: Sequence[str], table: Table) -> None:
    for label in labels:
        if len(label.encode()) > LONGEST_NAME:
            raise NodeError(f"{label!r} is longer than the {LONGEST_NAME} bytes of a name; shorten it by AS")
        if labels.count(label) > 1:
            raise NodeError(f"two columns of {table.label} are called {label!r}; rename one: 'column AS name'")
    if not labels:
        raise NodeError(f"{table.label} has neither columns nor children; name columns, or '*' for all")


def _free(name: str, taken: frozenset[str]) -> str:
    """Return an alias that no level above has."""
    alias, number = _cut(name, LONGEST_NAME), 1
    while alias in taken:
        number += 1
        alias = _cut(name, LONGEST_NAME - len(f"_{number}")) + f"_{number}"
    return alias


def _cut(name: str, longest: int) -> str:
    return name.encode()[:longest].decode(errors="ignore")
