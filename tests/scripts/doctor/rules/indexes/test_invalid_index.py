"""H510: leftovers of CREATE INDEX CONCURRENTLY."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from scripts.doctor.advice import Advice
from scripts.doctor.rules.indexes.invalid_index import RULE
from scripts.stack.postgres import Cluster

Look = Callable[..., list[Advice]]
BROKEN = """CREATE TABLE t (a int); CREATE INDEX {0} ON t (a);
    UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{0}'::regclass"""


def test_its_statement_mends_it(look: Look, make_database: Callable[..., str], cluster: Cluster) -> None:
    name = make_database(BROKEN.format("i"))
    (found,) = look(RULE, name=name)
    assert found.change is not None
    cluster.execute(found.change.up[0], dbname=name)
    assert look(RULE, name=name) == []


def test_the_copy_of_a_rebuild_is_dropped(look: Look) -> None:
    (found,) = look(RULE, BROKEN.format("i_ccnew"))
    assert found.change is not None
    assert found.change.up == ("DROP INDEX CONCURRENTLY IF EXISTS public.i_ccnew",)


def test_one_that_is_being_built_is_left_alone(
    look: Look, make_database: Callable[..., str], cluster: Cluster
) -> None:
    name = make_database(BROKEN.format("i"))
    with closing(cluster.connect(name)) as conn, conn.cursor() as cursor:
        cursor.execute("BEGIN; LOCK t IN SHARE UPDATE EXCLUSIVE MODE")
        assert look(RULE, name=name) == []


def test_a_parent_that_waits_for_its_partitions_is_left_alone(look: Look) -> None:
    parts = "CREATE TABLE t (a int) PARTITION BY RANGE (a); CREATE TABLE u PARTITION OF t DEFAULT;"
    assert look(RULE, parts + "CREATE INDEX ON ONLY t (a)") == []
