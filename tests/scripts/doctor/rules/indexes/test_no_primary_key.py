"""H521: tables without a primary key; the statement that is advised gives them one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.doctor.advice import Advice
from scripts.doctor.rules.indexes.no_primary_key import RULE
from scripts.stack.postgres import Cluster

Look = Callable[..., list[Advice]]


@pytest.mark.parametrize("sql", [
    "CREATE TABLE t (a int)",
    "CREATE TABLE t (id int)",
    "CREATE TABLE t (a int NOT NULL); CREATE UNIQUE INDEX i ON t (a)",
    "CREATE TABLE t (a int NOT NULL UNIQUE)",
    "CREATE TABLE t (a int UNIQUE)",
    "CREATE TABLE t (a int NOT NULL); CREATE UNIQUE INDEX i ON t (a DESC)",
    "CREATE TABLE t (a int NOT NULL) PARTITION BY RANGE (a); CREATE UNIQUE INDEX ON t (a);"
    "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)",
])  # fmt: skip
def test_its_statement_mends_it(
    sql: str, look: Look, make_database: Callable[..., str], cluster: Cluster
) -> None:
    name = make_database(sql)
    (found,) = look(RULE, name=name)
    assert found.place.path == "public.t"
    assert found.change is not None
    cluster.execute(found.change.up[0], dbname=name)
    assert look(RULE, name=name) == []


@pytest.mark.parametrize("sql", [
    "CREATE TABLE t (a int, b int, PRIMARY KEY (a, b))",
    "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a",
    "CREATE TEMP TABLE t (a int)",
])  # fmt: skip
def test_others_are_left_alone(sql: str, look: Look) -> None:
    assert look(RULE, sql) == []
