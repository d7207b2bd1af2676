"""H511: the estimate, and an index that lost most of its rows."""

from __future__ import annotations

from collections.abc import Callable

from scripts.doctor.advice import Advice
from scripts.doctor.rules.indexes.bloated_index import RULE
from scripts.stack.postgres import Cluster

Look = Callable[..., list[Advice]]
FILLED = """CREATE TABLE t (a text) WITH (autovacuum_enabled = off);
    INSERT INTO t SELECT lpad(n::text, 60, 'x') FROM generate_series(1, 150000) n; CREATE INDEX i ON t (a);"""


def test_a_fresh_index_is_left_alone_and_one_that_lost_its_rows_is_told(
    look: Look, make_database: Callable[..., str], cluster: Cluster
) -> None:
    name = make_database(FILLED + "ANALYZE t")
    assert look(RULE, name=name) == []
    cluster.execute("DELETE FROM t WHERE right(a, 1) <> '7'", dbname=name)
    cluster.execute("VACUUM ANALYZE t", dbname=name)
    (found,) = look(RULE, name=name)
    assert found.change is not None
    cluster.execute(found.change.up[0], dbname=name)
    assert look(RULE, name=name) == []


def test_a_table_without_statistics_is_left_alone(look: Look) -> None:
    assert look(RULE, FILLED) == []
