"""H507: indexes that are the same for every query, and those that are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.doctor.advice import Advice
from scripts.doctor.rules.indexes.duplicate_index import RULE
from scripts.stack.postgres import Cluster

Look = Callable[..., list[Advice]]
T = "CREATE TABLE t (id int PRIMARY KEY, a int, b text, c jsonb);"


@pytest.mark.parametrize("sql", [
    "CREATE INDEX i ON t (a); CREATE INDEX j ON t (a)",
    "CREATE UNIQUE INDEX i ON t (a); CREATE INDEX j ON t (a)",
    "CREATE INDEX j ON t (id)",
    "CREATE INDEX i ON t (a) INCLUDE (b, id); CREATE INDEX j ON t (a) INCLUDE (id, b)",
    "CREATE INDEX i ON t (lower(b)) WHERE a > 0; CREATE INDEX j ON t (lower(b)) WHERE a > 0",
    "CREATE INDEX i ON t USING gin (c); CREATE INDEX j ON t USING gin (c)",
])  # fmt: skip
def test_the_one_that_enforces_nothing_goes_and_can_come_back(
    sql: str, look: Look, make_database: Callable[..., str], cluster: Cluster
) -> None:
    name = make_database(T + sql)
    (found,) = look(RULE, name=name)
    assert found.place.path == "public.j"
    assert found.change is not None
    definition = "SELECT pg_get_indexdef('j'::regclass)"
    before = cluster.execute(definition, dbname=name)
    (up,), (down,) = found.change.up, found.change.down
    cluster.execute(up, dbname=name)
    assert look(RULE, name=name) == []
    cluster.execute(down, dbname=name)
    assert cluster.execute(definition, dbname=name) == before


@pytest.mark.parametrize("sql", [
    "ALTER TABLE t ADD UNIQUE (a); CREATE UNIQUE INDEX ON t (a)",
    "CREATE INDEX ON t (a); CREATE INDEX ON t (a DESC)",
    "CREATE INDEX ON t (b); CREATE INDEX ON t (b text_pattern_ops)",
    'CREATE INDEX ON t (b); CREATE INDEX ON t (b COLLATE "POSIX")',
    "CREATE INDEX ON t (a); CREATE INDEX ON t (a) WHERE a > 0",
    "CREATE INDEX ON t (a); CREATE INDEX ON t (a) INCLUDE (b)",
    "CREATE INDEX ON t (a); CREATE INDEX ON t USING hash (a)",
    "CREATE INDEX ON t (a, id); CREATE INDEX ON t (id, a)",
    "CREATE INDEX ON t USING gin (c); CREATE INDEX ON t USING gin (c jsonb_path_ops)",
    "ALTER TABLE t ALTER a SET NOT NULL; CREATE UNIQUE INDEX i ON t (a); CREATE UNIQUE INDEX j ON t (a);"
    "ALTER TABLE t REPLICA IDENTITY USING INDEX j",
])  # fmt: skip
def test_others_are_left_alone(sql: str, look: Look) -> None:
    assert look(RULE, T + sql) == []


def test_a_partitioned_tables_index_is_dropped_without_concurrently(
    look: Look, make_database: Callable[..., str], cluster: Cluster
) -> None:
    name = make_database(
        "CREATE TABLE t (id int, a int) PARTITION BY RANGE (id); CREATE INDEX i ON t (a); CREATE INDEX j ON t (a);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)"
    )
    (found,) = look(RULE, name=name)
    assert found.change is not None
    for statement in (*found.change.up, *found.change.down):
        cluster.execute(statement, dbname=name)
    assert [each.place.path for each in look(RULE, name=name)] == ["public.j"]
