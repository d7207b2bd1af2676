"""Rules about what goes on: each trouble is made for real, on a small server of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psycopg2
import pytest

from scripts.audit.finding import Severity
from scripts.doctor.advice import Advice
from scripts.doctor.rules.activity import connections_near_limit, deadlocks, forced_checkpoints
from scripts.doctor.rules.around import replication_lag, replication_slot_inactive
from scripts.doctor.rules.settings import no_pg_stat_statements, work_mem
from scripts.doctor.rules.statements import heavy_statement, spilling_statement
from scripts.doctor.session import NotSeen
from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from tests.support.threads import Running

Look = Callable[..., list[Advice]]
SETTINGS = {"max_connections": "13", "superuser_reserved_connections": "3", "work_mem": "64kB",
            "deadlock_timeout": "10ms", "max_parallel_workers_per_gather": "0"}  # fmt: skip


@pytest.fixture(scope="module")
def small() -> Iterator[Cluster]:
    """A server with ten connections and little memory."""
    with Stack() as stack:
        cluster = stack.postgres(SETTINGS)
        cluster.create_database("small", cluster.user)
        yield cluster


def test_connections_that_are_nearly_all_taken_are_told(small: Cluster, look: Look) -> None:
    assert look(connections_near_limit.RULE, on=small, name="small") == []
    with ExitStack() as stops:
        for _ in range(8):
            stops.enter_context(closing(psycopg2.connect(small.dsn("small"))))
        (found,) = look(connections_near_limit.RULE, on=small, name="small")
    assert "of 10 connections are taken" in found.message
    assert found.severity >= Severity.high


def test_checkpoints_that_are_forced_are_told(small: Cluster, look: Look) -> None:
    assert look(forced_checkpoints.RULE, on=small, name="small") == []
    for _ in range(25):
        small.execute("CHECKPOINT")
    (found,) = look(forced_checkpoints.RULE, on=small, name="small")
    assert "checkpoints were forced" in found.message


def test_deadlocks_are_told_from_five_a_day(small: Cluster, look: Look) -> None:
    small.execute("CREATE TABLE two (id int PRIMARY KEY); INSERT INTO two VALUES (1), (2)", dbname="small")
    assert look(deadlocks.RULE, on=small, name="small") == []
    for _ in range(5):
        _deadlock(small)
    # A session tells the server of its counts when it ends.
    found = look(deadlocks.RULE, on=small, name="small")
    assert [each.rule for each in found] == ["H626"]


def _deadlock(cluster: Cluster) -> None:
    dsn = cluster.dsn("small")
    with closing(psycopg2.connect(dsn)) as one, closing(psycopg2.connect(dsn)) as two:
        first, second = one.cursor(), two.cursor()
        first.execute("SELECT * FROM two WHERE id = 1 FOR UPDATE")
        second.execute("SELECT * FROM two WHERE id = 2 FOR UPDATE")

        def cross() -> None:
            try:
                first.execute("SELECT * FROM two WHERE id = 2 FOR UPDATE")
            except psycopg2.errors.DeadlockDetected:
                one.rollback()

        crossing = Running(cross)
        try:
            second.execute("SELECT * FROM two WHERE id = 1 FOR UPDATE")
        except psycopg2.errors.DeadlockDetected:
            pass
        two.rollback()
        crossing.join()


def test_statements_that_spill_and_weigh_are_told(
    small: Cluster, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(small.connect("small")) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM (SELECT md5(g::text) FROM generate_series(1, 400000) g ORDER BY 1) x")
    (found,) = look(spilling_statement.RULE, on=small, name="small")
    assert "of temporary files each time; work_mem is 64 kB" in found.message
    assert look(heavy_statement.RULE, on=small, name="small") == []
    monkeypatch.setattr(heavy_statement, "LEAST_MS", 10.0)
    heavy = look(heavy_statement.RULE, on=small, name="small")
    assert any("of the server's time" in each.message for each in heavy)
    assert look(work_mem.RULE, on=small, name="small") == []
    monkeypatch.setattr(work_mem, "LEAST_FILES", 1)
    monkeypatch.setattr(work_mem, "LEAST_BYTES", 1024**2)
    (found,) = look(work_mem.RULE, on=small, name="small")
    assert "temporary files of " in found.message


def test_without_pg_stat_statements_that_is_told_and_the_workload_is_not_seen(small: Cluster, look: Look) -> None:
    small.execute("CREATE DATABASE bare TEMPLATE template0")
    (found,) = look(no_pg_stat_statements.RULE, on=small, name="bare")
    assert found.change is not None
    assert found.change.up == ("CREATE EXTENSION pg_stat_statements",)
    with pytest.raises(NotSeen, match="pg_stat_statements is not installed"):
        look(spilling_statement.RULE, on=small, name="bare")


def test_a_slot_that_nobody_reads_is_told(small: Cluster, look: Look) -> None:
    assert look(replication_slot_inactive.RULE, on=small, name="small") == []
    small.execute("SELECT pg_create_physical_replication_slot('left_behind', true)")
    (found,) = look(replication_slot_inactive.RULE, on=small, name="small")
    assert "the physical slot left_behind is read by nobody" in found.message
    small.execute("SELECT pg_drop_replication_slot('left_behind')")


def test_a_replica_whose_replay_is_paused_is_told(look: Look) -> None:
    with Stack() as stack:
        replica = stack.postgres()
        replica.stop()
        (replica._folder / "data" / "standby.signal").touch()
        replica.start()
        assert look(replication_lag.RULE, on=replica, name="postgres") == []
        replica.execute("SELECT pg_wal_replay_pause()")
        (found,) = look(replication_lag.RULE, on=replica, name="postgres")
    assert "this replica" in found.message
    assert "replay is paused" in found.message
