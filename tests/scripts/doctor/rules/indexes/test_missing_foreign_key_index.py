"""H501: which indexes cover a foreign key, and which only look as if they did."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.audit.finding import Severity
from scripts.doctor.advice import Advice
from scripts.doctor.rules.indexes.missing_foreign_key_index import RULE
from scripts.stack.postgres import Cluster

Look = Callable[..., list[Advice]]
PARENT = "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b), UNIQUE (a), UNIQUE (b));"
ONE = PARENT + "CREATE TABLE t (id int PRIMARY KEY, x int REFERENCES p (a), y int, s text, d jsonb);"
TWO = PARENT + "CREATE TABLE t (id int PRIMARY KEY, x int, y int, z int, FOREIGN KEY (x, y) REFERENCES p (a, b));"
SHARDS = """
    CREATE TABLE t (id int, x int REFERENCES p (a), PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
    CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
    CREATE TABLE t3 PARTITION OF t2 FOR VALUES FROM (10) TO (15);
"""


@pytest.mark.parametrize("sql", [
    ONE + "CREATE INDEX ON t (y, x)",
    ONE + "CREATE INDEX ON t (y) INCLUDE (x)",
    ONE + "CREATE INDEX ON t ((x + 0))",
    ONE + "CREATE INDEX ON t (x) WHERE y > 0",
    ONE + "CREATE INDEX ON t (x) WHERE x > 0",
    ONE + "CREATE INDEX ON t (x) WHERE y IS NOT NULL",
    ONE + "CREATE INDEX ON t (x) WHERE x IS NOT NULL AND y IS NOT NULL",
    ONE + "CREATE INDEX i ON t (x); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass",
    ONE + "CREATE INDEX ON t USING hash (y)",
    ONE + "CREATE INDEX ON t USING brin (x)",
    ONE + "ALTER TABLE t ADD FOREIGN KEY (x) REFERENCES p (b)",
    TWO + "CREATE INDEX ON t (x)",
    TWO + "CREATE INDEX ON t (y)",
    TWO + "CREATE INDEX ON t (x, z, y)",
    "CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t)",
    PARENT + SHARDS,
    PARENT + SHARDS + "CREATE INDEX ON ONLY t (x)",
    'CREATE TABLE p (a text COLLATE "C" PRIMARY KEY);'
    'CREATE TABLE t (x text COLLATE "C" REFERENCES p); CREATE INDEX ON t (x COLLATE "POSIX")',
])  # fmt: skip
def test_a_key_that_no_index_covers_is_found_once(sql: str, look: Look) -> None:
    (found,) = look(RULE, sql)
    assert found.place.path == "public.t"


@pytest.mark.parametrize("sql", [
    ONE + "CREATE INDEX ON t (x)",
    ONE + "CREATE INDEX ON t (x DESC NULLS LAST, y)",
    ONE + "CREATE INDEX ON t (x) INCLUDE (y)",
    ONE + "CREATE INDEX ON t USING hash (x)",
    ONE + "CREATE INDEX ON t (x) WHERE x IS NOT NULL",
    ONE + "ALTER TABLE t ADD UNIQUE (x, y)",
    PARENT + "CREATE TABLE t (x int REFERENCES p (a), y int, PRIMARY KEY (x, y))",
    TWO + "CREATE INDEX ON t (x, y)",
    TWO + "CREATE INDEX ON t (y, x)",
    TWO + "CREATE INDEX ON t (y, x, z)",
    TWO + "CREATE INDEX ON t (x, y) WHERE x IS NOT NULL AND y IS NOT NULL",
    TWO + "CREATE INDEX ON t (x, y) WHERE y IS NOT NULL",
    "CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t); CREATE INDEX ON t (up)",
    PARENT + SHARDS + "CREATE INDEX ON t (x)",
    'CREATE TABLE p (a text PRIMARY KEY); CREATE TABLE t ("order" text REFERENCES p);'
    'CREATE INDEX ON t ("order" text_pattern_ops) WHERE "order" IS NOT NULL',
    "CREATE TABLE p (a int PRIMARY KEY); CREATE TEMP TABLE t (x int)",
])  # fmt: skip
def test_a_key_that_an_index_covers_is_left_alone(sql: str, look: Look) -> None:
    assert look(RULE, sql) == []


@pytest.mark.parametrize("sql", [
    PARENT + SHARDS,
    PARENT + SHARDS + "CREATE INDEX t1_mine ON t1 (x)",
    'CREATE SCHEMA "Ä"; CREATE TABLE "Ä"."a""b" (id int PRIMARY KEY);'
    'CREATE TABLE "Ä"."select" (id int PRIMARY KEY, "Kunden ""№" int REFERENCES "Ä"."a""b")',
    TWO,
])  # fmt: skip
def test_its_statements_run_and_leave_nothing_to_find(
    sql: str, look: Look, make_database: Callable[..., str], cluster: Cluster
) -> None:
    name = make_database(sql)
    (found,) = look(RULE, name=name)
    assert found.change is not None
    for statement in (*found.change.up, *found.change.up):  # a second time changes nothing
        cluster.execute(statement, dbname=name)
    assert look(RULE, name=name) == []
    cluster.execute("PREPARE probe AS " + found.change.probes[0], dbname=name)
    for statement in found.change.down:
        cluster.execute(statement, dbname=name)
    assert cluster.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid", dbname=name) == [(0,)]


def test_a_partitioned_table_gets_its_partitions_indexes_first(look: Look) -> None:
    (found,) = look(RULE, PARENT + SHARDS)
    assert found.change is not None
    assert found.change.up == (
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS t1_x_idx ON public.t1 (x)",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS t3_x_idx ON public.t3 (x)",
        "CREATE INDEX IF NOT EXISTS t_x_idx ON public.t (x)",
    )
    assert found.change.down == ("DROP INDEX IF EXISTS public.t_x_idx",)


@pytest.mark.parametrize(("rows", "severity"), [(10, Severity.low), (2000, Severity.medium)])
def test_large_tables_are_worse(rows: int, severity: Severity, look: Look) -> None:
    fill = f"INSERT INTO t (id) SELECT generate_series(1, {rows}); ANALYZE t"
    (found,) = look(RULE, ONE + fill)
    assert found.severity == severity


def test_a_key_that_one_partition_has_for_itself_is_told_of_that_partition(look: Look) -> None:
    sql = PARENT + SHARDS.replace(" REFERENCES p (a)", "") + "ALTER TABLE t1 ADD FOREIGN KEY (x) REFERENCES p (a);"
    (found,) = look(RULE, sql)
    assert found.place.path == "public.t1"
    assert "CONCURRENTLY" in found.fix
