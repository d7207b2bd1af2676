"""H526: a constraint that was added NOT VALID, and never validated."""

from __future__ import annotations

from collections.abc import Iterator

from ....audit.finding import Severity
from ...advice import Advice, Change, LiveRule
from ...names import qualified, quoted
from ...target import Target

_READ = """
    SELECT n.nspname AS schema, c.relname AS "table", k.conname AS name, k.contype::text AS kind,
           c.oid::bigint AS oid
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT k.convalidated AND k.contype IN ('f', 'c') AND k.conparentid = 0
      AND COALESCE((to_jsonb(k) ->> 'conenforced')::boolean, true)  -- 18 and later
    ORDER BY 1, 2, 3
"""
_KINDS = {"f": "foreign key", "c": "CHECK"}


def _check(target: Target) -> Iterator[Advice]:
    known = target.catalog.tables
    for row in target.session.rows(_READ):
        if row.oid not in known or known[row.oid].is_partition:
            continue
        table = qualified(row.schema, row.table)
        up = f"ALTER TABLE {table} VALIDATE CONSTRAINT {quoted(row.name)}"
        yield RULE.on(
            table, f"the {_KINDS[row.kind]} {row.name} of {table} is not validated: old rows may break it",
            change=Change("validate constraint", (up,), (), table, quoted(row.name)), key=row.name,
            gain="what the constraint says is true of every row, and the planner may rely on it",
            risk="reads the whole table, under a lock that lets reads and writes go on; fails at the first"
            " bad row",
            fix=f"`{up};`",
        )  # fmt: skip


RULE = LiveRule(
    id="H526",
    name="constraint-not-validated",
    finds="A foreign key or CHECK that was added NOT VALID and not validated since.",
    why="It holds for new rows alone. Old ones may refer to nothing, and nobody knows which.",
    fix="VALIDATE CONSTRAINT, which lets reads and writes go on.",
    leaves_alone=("Partitions, whose parent is told of.", "Constraints that are NOT ENFORCED on purpose (18 on)."),
    severity=Severity.low,
    check=_check,
    example="CREATE TABLE prices (id bigint PRIMARY KEY, amount numeric);\n"
    "ALTER TABLE prices ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID;\n",
    instead="CREATE TABLE prices (id bigint PRIMARY KEY, amount numeric);\n"
    "ALTER TABLE prices ADD CONSTRAINT positive CHECK (amount > 0) NOT VALID;\n"
    "ALTER TABLE prices VALIDATE CONSTRAINT positive;\n",
)
