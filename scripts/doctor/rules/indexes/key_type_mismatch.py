"""H525: a foreign key whose column has another type than the one that it refers to."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, LiveRule
from ...catalog import Column, Table
from ...target import Target

_WIDTH = {"int2": 2, "int4": 4, "int8": 8}


def _check(target: Target) -> Iterator[Advice]:
    catalog = target.catalog
    for key in catalog.foreign_keys:
        table, parent = catalog.tables.get(key.table), catalog.tables.get(key.target)
        if table is None or parent is None or table.is_partition:
            continue
        for name, other in zip(key.columns, key.target_columns, strict=True):
            column, referred = table.by_name[name], parent.by_name[other]
            if column.base != referred.base:
                yield _finding(table, column, parent, referred)


def _finding(table: Table, column: Column, parent: Table, referred: Column) -> Advice:
    is_narrower = _WIDTH.get(column.base, 9) < _WIDTH.get(referred.base, 0)
    end = ", which holds larger numbers than it can" if is_narrower else ""
    return RULE.on(
        table.full, f"{table.column(column.name)} is {column.type} and refers to {parent.column(referred.name)}, a"
        f" {referred.type}{end}", severity=Severity.medium if is_narrower else Severity.low,
        gain="no failed INSERT at the narrower type's end; joins without casts" if is_narrower else
        "joins without casts", risk="ALTER TYPE rewrites the table under a lock that stops all reads",
        names=(table.column(column.name),), key=column.name,
        fix=f"Give it the type {referred.type}: on a large table by a second column that is filled in batches.",
    )  # fmt: skip


RULE = LiveRule(
    id="H525",
    name="key-type-mismatch",
    finds="A foreign key's column whose type is not the type of the column that it refers to.",
    why="An integer that refers to a bigint fails on the day on which the ids grow past 2,147,483,647;"
    " numeric against"
    " integer, or text against varchar, is cast at each join.",
    fix="Give both the same type.",
    leaves_alone=("Lengths: varchar(20) and varchar(40).", "Domains over the same type."),
    severity=Severity.medium,
    check=_check,
    example="CREATE TABLE users (id bigint PRIMARY KEY);\n"
    "CREATE TABLE posts (id bigint PRIMARY KEY, user_id integer REFERENCES users);\n"
    "CREATE INDEX ON posts (user_id);\n",
    instead="CREATE TABLE users (id bigint PRIMARY KEY);\n"
    "CREATE TABLE posts (id bigint PRIMARY KEY, user_id bigint REFERENCES users);\nCREATE INDEX ON posts"
    " (user_id);\n",
)
