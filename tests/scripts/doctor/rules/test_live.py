"""Rules about what goes on: each trouble is made for real, on a small server of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psycopg2
import pytest

from scripts.audit.finding import Severity
from scripts.doctor.advice import Advice
from scripts.doctor.rules.activity import (
    cache_hit_ratio,
    connections_near_limit,
    deadlocks,
    forced_checkpoints,
    transaction_id_age,
)
from scripts.doctor.rules.around import replication_lag, replication_slot_inactive
from scripts.doctor.rules.settings import no_pg_stat_statements, work_mem
from scripts.doctor.rules.statements import heavy_statement, jit_heavy, spilling_statement
from scripts.doctor.session import NotSeen
from scripts.stack import Stack
from scripts.stack.child import as_user, unprivileged_user, user_ids
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


def test_statements_that_are_compiled_for_long_are_told(
    small: Cluster, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(small.connect("small")) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT pg_jit_available()")
        if not cursor.fetchone()[0]:
            pytest.skip("this PostgreSQL was built without JIT (llvmjit)")
        assert look(jit_heavy.RULE, on=small, name="small") == []
        cursor.execute("SET jit = on; SET jit_above_cost = 0; SET jit_optimize_above_cost = 0")
        cursor.execute("SELECT sum(g * 2 + 1), avg(g % 7), max(g) FROM generate_series(1, 9) g")
    monkeypatch.setattr(jit_heavy, "LEAST_MS", 1.0)
    (found,) = look(jit_heavy.RULE, on=small, name="small")
    assert "in being compiled" in found.message
    assert found.change is not None and found.change.up == ("ALTER DATABASE small SET jit = off",)


def test_a_database_that_reads_past_its_cache_is_told(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_hit_ratio, "LEAST_READS", 5000)
    with Stack() as stack:
        tiny = stack.postgres({"shared_buffers": "1MB", "max_parallel_workers_per_gather": "0"})
        tiny.execute("CREATE DATABASE tiny")
        assert look(cache_hit_ratio.RULE, on=tiny, name="tiny") == []
        fill = "CREATE TABLE t AS SELECT g, repeat('x', 900) AS s FROM generate_series(1, 9000) g"
        tiny.execute(fill, dbname="tiny")
        for _ in range(20):
            tiny.execute("SELECT count(*) FROM t", dbname="tiny")
        (found,) = look(cache_hit_ratio.RULE, on=tiny, name="tiny")
    assert "pages came from shared_buffers (1 MB)" in found.message


def test_a_table_on_its_way_to_wraparound_is_told(look: Look) -> None:
    """The server's counter is put forward by 1.6 billion, as that many transactions would."""
    with Stack() as stack:
        old = stack.postgres({"autovacuum_freeze_max_age": "2000000000", "autovacuum": "off"})
        old.execute("CREATE DATABASE old")
        assert look(transaction_id_age.RULE, on=old, name="old") == []
        old.stop()
        _put_forward(old, 1_600_000_000)
        old.start()
        found = look(transaction_id_age.RULE, on=old, name="old")
        assert found and found[0].severity is Severity.high
        assert "has not been frozen for 1,59" in found[0].message
        assert found[0].change is not None and found[0].change.up[0].startswith("VACUUM (FREEZE) ")


def _put_forward(cluster: Cluster, transaction: int) -> None:
    """Set the next transaction of a stopped server, and make the page that says how it ended."""
    data, user = cluster._folder / "data", unprivileged_user()
    page = data / "pg_xact" / f"{transaction // (32 * 8192 * 4):04X}"
    page.write_bytes(bytes(256 * 1024))
    os.chown(page, *user_ids(user))
    done = subprocess.run(
        as_user([str(cluster._bin / "pg_resetwal"), "-f", "-x", str(transaction), "-D", str(data)], user),
        capture_output=True, text=True, cwd=cluster._folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


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
