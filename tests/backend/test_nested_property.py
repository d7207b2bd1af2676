"""Random trees: tables, keys, rows and values that nobody thought of, and always what plain Python nests.

A tree is made level by level, each with a key of one or two columns, kept by the parent or by the child. The same
tree is asked for in three ways: from the tables' foreign keys, by `one` and `many` in SQL, and by reading each
table and nesting its rows in Python; all three must agree, value by value, in order. `check`
must name the keys without an index among those that are followed, and no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend import check, many, many_from, one, one_from
from backend.composed import quoted
from backend.nested import Node

Row = dict[str, Any]

# What PostgreSQL's JSON makes of a value, per type of column.
KINDS = {
    "text": lambda value: value,
    "bigint": lambda value: value,
    "boolean": lambda value: value,
    "numeric": lambda value: Decimal(value),
    "timestamptz(0)": lambda value: value.astimezone(timezone.utc).isoformat(),
    "text[]": lambda value: value,
    "jsonb": lambda value: value,
}
LETTERS = st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")
TEXT = st.text(LETTERS | st.sampled_from(list("'\"{}%$\\:é\n")), max_size=12)
UTC = st.just(timezone.utc)
VALUES = {
    "text": TEXT,
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4),
    "timestamptz(0)": st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=UTC).map(
        lambda moment: moment.replace(microsecond=0)
    ),
    "text[]": st.lists(st.none() | TEXT, max_size=3),
    "jsonb": st.recursive(st.none() | st.booleans() | TEXT, lambda kid: st.lists(kid, max_size=2), max_leaves=4),
}
NAMES = st.text(LETTERS | st.sampled_from(list("\"%{}. abc")), min_size=1, max_size=8)
PARENTS = st.none() | st.integers(0, 3)  # by its place among the rows of the other table


@dataclass(eq=False)
class Table:
    """A level of the tree.

    Attributes:
        is_list: it holds the key to its parent, so it is a list there; else the parent holds the key to it.
        is_pair: its primary key, and so every key to it, has two columns.
        is_indexed: the key to its parent, if it holds one, has an index.
        rows: the values of its own column.
        links: what each row of the side that holds the key refers to.
    """

    name: str
    column: str
    kind: str
    is_list: bool
    is_pair: bool
    is_indexed: bool
    descends: bool
    limit: int | None
    rows: list[Any]
    links: list[int | None]
    children: list[Table]

    @property
    def key(self) -> list[str]:
        return ["k1", "k2"] if self.is_pair else ["k1"]

    def key_of(self, place: int) -> list[Any]:
        """Return the primary key of a row: not in the order of the rows, and of a pair no half is unique."""
        number = (place * 7 + 3) % 11
        return [number % 2, f"%{number // 4}"] if self.is_pair else [number]


def _tables(depth: int) -> st.SearchStrategy[Table]:
    children = st.lists(_tables(depth - 1), max_size=2) if depth else st.just([])

    def build(kind: str) -> st.SearchStrategy[Table]:
        return st.builds(
            Table,
            name=NAMES,
            column=NAMES.filter(lambda name: name not in ("k1", "k2")),
            kind=st.just(kind),
            is_list=st.booleans(),
            is_pair=st.booleans(),
            is_indexed=st.booleans(),
            descends=st.booleans(),
            limit=st.none() | st.integers(1, 3),
            rows=st.lists(st.none() | VALUES[kind], max_size=4),
            links=st.lists(PARENTS, min_size=4, max_size=4),
            children=children,
        )

    return st.sampled_from(sorted(KINDS)).flatmap(build)


@pytest.fixture(scope="module")
def conn(cluster: Any, database: str) -> Iterator[Any]:
    with closing(psycopg2.connect(cluster.dsn(database, "app"))) as connection:
        connection.cursor().execute("SET TIME ZONE 'UTC'")
        connection.commit()
        yield connection
        connection.rollback()


class World:
    """The tables of a tree in the database, and the three ways to ask for it."""

    def __init__(self, conn: Any, root: Table) -> None:
        self.conn, self.root, self.cursor = conn, root, conn.cursor()
        self.rows: dict[int, list[Row]] = {}
        self._made: list[Table] = []
        self._create(root, "")

    def table(self, level: Table) -> str:
        """Return the table's name: no two are the same."""
        place = next(place for place, made in enumerate(self._made) if made is level)
        return f"{place}{level.name}"

    def child_name(self, child: Table) -> str:
        return f"child_{next(place for place, made in enumerate(self._made) if made is child)}"

    def _create(self, level: Table, path: str) -> None:
        """Create a level after those it refers to, and before those that refer to it."""
        self._made.append(level)
        refers_to = [child for child in level.children if not child.is_list]
        for child in refers_to:
            self._create(child, path)
        self._create_table(level, refers_to)
        for child in level.children:
            if child.is_list:
                self._create(child, path)

    def _create_table(self, level: Table, refers_to: list[Table]) -> None:
        parents = refers_to + [made for made in self._made if level.is_list and level in made.children]
        columns = [f"k1 int, {'k2 text, ' if level.is_pair else ''}{quoted(level.column)} {level.kind}"]
        for number, other in enumerate(parents):
            names = self.link(number, other)
            kinds = zip(names, ("int", "text"), strict=False)
            columns += [f"{quoted(name)} {kind}" for name, kind in kinds]
            columns.append(
                f"FOREIGN KEY ({', '.join(map(quoted, names))}) REFERENCES {quoted(self.table(other))}"
            )
        columns.append(f"PRIMARY KEY ({', '.join(level.key)})")
        self.cursor.execute(f"CREATE TABLE {quoted(self.table(level))} ({', '.join(columns)})")
        for number, other in enumerate(parents):
            if other not in level.children and level.is_indexed:
                names = ", ".join(map(quoted, reversed(self.link(number, other))))
                self.cursor.execute(f"CREATE INDEX ON {quoted(self.table(level))} ({names}, k1)")
        self.rows[id(level)] = [self._insert(level, parents, place) for place in range(len(level.rows))]

    @staticmethod
    def link(number: int, other: Table) -> list[str]:
        """Return the columns of the key to another table."""
        return [f"to_{number}_{part}" for part in other.key]

    def _insert(self, level: Table, parents: list[Table], place: int) -> Row:
        row = dict(zip(level.key, level.key_of(place), strict=True))
        row[f"own {level.column}"] = level.rows[place]
        sent = list(row.values())
        if level.kind == "jsonb" and level.rows[place] is not None:
            sent[-1] = psycopg2.extras.Json(level.rows[place])
        for number, other in enumerate(parents):
            target = (level if other not in level.children else other).links[place]
            found = target is not None and target < len(other.rows)
            values = other.key_of(target) if found else [None] * len(other.key)
            row |= dict(zip(self.link(number, other), values, strict=True))
            sent += values
        marks = ", ".join(["%s"] * len(sent))
        self.cursor.execute(f"INSERT INTO {quoted(self.table(level)).replace('%', '%%')} VALUES ({marks})", sent)
        return row

    def _pairs(self, parent: Table, child: Table) -> list[tuple[str, str]]:
        """Return the columns that join: those of the parent, and those of the child."""
        if child.is_list:
            number = len([one for one in child.children if not one.is_list])
            return list(zip(parent.key, self.link(number, parent), strict=True))
        number = [one for one in parent.children if not one.is_list].index(child)
        return list(zip(self.link(number, child), child.key, strict=True))

    def without_index(self) -> set[str]:
        """Return the tables whose rows are looked for by a key that has no index."""
        return {
            quoted(self.table(child))
            for level in self._made
            for child in level.children
            if child.is_list and not child.is_indexed
        }

    def nested(self, level: Table, rows: list[Row]) -> list[Row]:
        """Nest in Python: the reference."""
        rows = sorted(rows, key=lambda row: [row[name] for name in level.key], reverse=level.descends)
        rows = rows[: level.limit] if level.is_list else rows
        found = []
        for row in rows:
            value = row[f"own {level.column}"]
            made = {"k1": row["k1"], level.column: None if value is None else KINDS[level.kind](value)}
            for child in level.children:
                pairs = self._pairs(level, child)
                fits = [
                    other for other in self.rows[id(child)]
                    if all(row[a] is not None and row[a] == other[b] for a, b in pairs)
                ]  # fmt: skip
                kids = self.nested(child, fits)
                made[self.child_name(child)] = kids if child.is_list else (kids[0] if kids else None)
            found.append(made)
        return found

    def tree(self, level: Table) -> Any:
        """Ask by the foreign keys."""
        make: Any = many_from if level.is_list else one_from
        order = [f"-{name}" if level.descends else name for name in level.key]
        options: Row = {"order": order, "limit": level.limit} if level.is_list else {}
        children = {self.child_name(child): self.tree(child) for child in level.children}
        return make(self.table(level), ["k1", level.column], children=children, **options)

    def node(self, level: Table, condition: str = "") -> Node:
        """Ask in SQL."""
        alias = f"t{self.child_name(level)}"
        children = {
            self.child_name(child): self.node(
                child,
                " AND ".join(
                    f"{alias}.{quoted(a)} = t{self.child_name(child)}.{quoted(b)}"
                    for a, b in self._pairs(level, child)
                ),
            )
            for child in level.children
        }
        holes = "".join(f", {{{name}}}" for name in children)
        sql = f"SELECT {alias}.k1, {alias}.{quoted(level.column)}{holes} FROM {quoted(self.table(level))} {alias}"
        sql += f" WHERE {condition}" if condition else ""
        if level.is_list:
            sql += f" ORDER BY {', '.join(name + level.descends * ' DESC' for name in level.key)}"
            sql += f" LIMIT {level.limit}" if level.limit else ""
        return (many if level.is_list else one)(sql, **children)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(root=_tables(2))
def test_random_trees_equal_what_plain_python_nests(conn: Any, root: Table) -> None:
    root.is_list = True
    with conn.cursor() as cursor:
        cursor.execute("CREATE SCHEMA random_tree; SET LOCAL search_path = random_tree")
    try:
        world = World(conn, root)
        expected = world.nested(root, world.rows[id(root)])
        tree = world.tree(root)
        for body in (tree.json(conn), world.node(root).json(conn)):
            assert json.loads(body, parse_float=Decimal) == expected
        for node in (tree, world.node(root)):
            problems = check(conn, node)
            assert {problem.table for problem in problems} == world.without_index()
            assert all(problem.foreign_key for problem in problems)
    finally:
        conn.rollback()
