"""H509: what nobody reads, and what only looks so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.doctor.advice import Advice
from scripts.doctor.rules.indexes.unused_index import RULE
from scripts.stack.postgres import Cluster

Look = Callable[..., list[Advice]]
FILLED = """
    CREATE TABLE p (id int PRIMARY KEY);
    CREATE TABLE t (id int PRIMARY KEY, x int REFERENCES p, y int);
    INSERT INTO t (id, y) SELECT n, n FROM generate_series(1, 60000) n;
    SELECT count(*) FROM t;
"""
FLUSH = "ANALYZE t; SELECT pg_stat_force_next_flush();"  # or the counts come when the backend has ended


def _told(
    look: Look, make_database: Callable[..., str], cluster: Cluster, sql: str, days: float = 0.0
) -> list[str]:
    if cluster.execute("SELECT current_setting('server_version_num')::int < 150000")[0][0]:
        pytest.skip("pg_stat_force_next_flush needs PostgreSQL 15")
    name = make_database(FILLED + sql)
    cluster.execute(FLUSH, dbname=name)
    return [each.place.path for each in look(RULE, name=name, unused_after=days)]


def test_a_large_index_that_nobody_reads_is_told(
    look: Look, make_database: Callable[..., str], cluster: Cluster
) -> None:
    assert _told(look, make_database, cluster, "CREATE INDEX i ON t (y)") == ["public.i"]


@pytest.mark.parametrize(("sql", "days"), [
    ("CREATE INDEX i ON t (y)", 7.0),
    ("CREATE UNIQUE INDEX i ON t (y)", 0.0),
    ("CREATE INDEX i ON t (y) WHERE y < 10", 0.0),
    ("CREATE INDEX i ON t (x, y)", 0.0),
    ("CREATE INDEX i ON t (y); CREATE INDEX j ON t (y)", 0.0),
    ("CREATE INDEX i ON t (y); CREATE INDEX j ON t (y, id)", 0.0),
    ("CREATE INDEX i ON t (y); SET enable_seqscan = off; SELECT id FROM t WHERE y = 7", 0.0),
])  # fmt: skip
def test_others_are_left_alone(
    sql: str, days: float, look: Look, make_database: Callable[..., str], cluster: Cluster
) -> None:
    assert _told(look, make_database, cluster, sql, days) == []
