"""Names that do not resolve, hosts that stop, servers that no longer take writes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from backend import PoolTimeout
from scripts.stack import Stack
from scripts.stack.child import Child, as_user, clean_environment, unprivileged_user, user_ids
from scripts.stack.ports import free_port
from scripts.stack.postgres import Cluster
from tests.support.sql import backend, query, run
from tests.support.threads import Running, together, until

from ..conftest import MakePool
from .conftest import OwnPool
from .load import SOON, Attempts, Load, check_whole


class TestNames:
    def test_a_name_that_does_not_resolve_is_said_at_once_and_takes_no_slot(
        self, make_pool: MakePool, attempts: Attempts
    ) -> None:
        pool = make_pool(1, 4, connect={"host": "nosuchhost.invalid"}, timeout=10.0)

        def work(number: int) -> BaseException | None:
            return Running(pool.getconn).error()

        for error in together(16, work, timeout=20.0):
            assert isinstance(error, psycopg2.OperationalError)
            assert not isinstance(error, PoolTimeout)
            assert "could not translate host name" in str(error)
        stats = pool.stats()
        assert (stats["used"], stats["waiting"]) == (0, 0)
        assert attempts.count <= 16 + 5  # one per caller at most, and the pool's own few

    def test_hostaddr_needs_no_name(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 2, connect={"host": "nosuchhost.invalid", "hostaddr": "127.0.0.1"})
        with pool.connection() as conn:
            assert query(conn, "SELECT 1") == 1
        check_whole(pool)

    def test_a_name_that_resolves_again_is_used_again(
        self, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The pool asks the resolver at each connect; it keeps no address."""
        pool = make_pool(1, 4, connect={"host": "nosuchhost.invalid"}, timeout=10.0)
        with pytest.raises(psycopg2.OperationalError):
            pool.getconn()
        monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")  # libpq's own way to say where a name leads
        with Load(pool) as load:
            load.serves(50)
        assert not load.failures, load
        monkeypatch.delenv("PGHOSTADDR")


class Standby:
    """A streaming copy of a cluster, which can be promoted."""

    def __init__(self, stack: Stack, primary: Cluster) -> None:
        run_folder, user = stack.run, unprivileged_user()
        self.port, self._primary = free_port(), primary
        folder = Path(run_folder.path) / "standby"
        folder.mkdir(mode=0o700)
        os.chown(folder, *user_ids(user))
        environ = clean_environment(run_folder, {"LC_ALL": "C", "PGPASSWORD": primary.password})
        copy = [
            str(stack.binaries.postgres / "pg_basebackup"), "--pgdata", str(folder / "data"),
            "--host", "127.0.0.1", "--port", str(primary.port), "--username", primary.user,
            "--write-recovery-conf", "--no-sync", "--checkpoint", "fast", "--wal-method", "stream",
        ]  # fmt: skip
        subprocess.run(as_user(copy, user), check=True, env=environ, cwd=folder, capture_output=True, timeout=60)
        settings = {"port": str(self.port), "listen_addresses": "127.0.0.1", "fsync": "off",
                    "unix_socket_directories": str(folder), "shared_preload_libraries": "pg_stat_statements",
                    "lc_messages": "C"}  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.child = Child(
            "standby", [str(stack.binaries.postgres / "postgres"), "-D", str(folder / "data"), *options],
            run_folder, environ, user=user, stop_signal=signal.SIGINT,
        )  # fmt: skip
        self.child.wait_until(self._answers, 30)

    def _connect(self) -> Any:
        return psycopg2.connect(self._primary.dsn(), port=self.port)

    def _answers(self) -> bool:
        try:
            self._connect().close()
            return True
        except psycopg2.OperationalError:
            return False

    def promote(self) -> None:
        """Make it take writes."""
        conn = self._connect()
        conn.autocommit = True
        assert query(conn, "SELECT pg_promote()")
        conn.close()


@pytest.fixture
def pair() -> Iterator[tuple[Cluster, Standby]]:
    """A primary and its standby."""
    with Stack() as stack:
        primary = stack.postgres({"max_wal_senders": "4"})
        primary.create_role("app", "pass word")
        primary.create_database("app", "app")
        standby = Standby(stack, primary)
        yield primary, standby
        standby.child.stop()


def both(primary: Cluster, standby: Standby, **more: str) -> str:
    hosts = {"host": "127.0.0.1,127.0.0.1", "port": f"{primary.port},{standby.port}"}
    return str(make_dsn(primary.dsn("app", "app"), **hosts, **more))


def test_a_pool_for_writes_moves_to_the_standby_that_was_promoted(
    pair: tuple[Cluster, Standby], own_pool: OwnPool
) -> None:
    """Two hosts and target_session_attrs=read-write: the first stops, the second takes over, under load."""
    primary, standby = pair
    pool = own_pool(2, 6, both(primary, standby, target_session_attrs="read-write"), timeout=10.0)

    def write(conn: Any) -> None:
        run(conn, "CREATE TEMP TABLE written (n int) ON COMMIT DROP")

    with Load(pool, work=write) as load:
        load.serves(50)
        assert _ports(pool) == {primary.port}
        primary.stop()
        away = time.monotonic()
        load.fails(20)  # nobody takes writes now
        standby.promote()
        promoted = time.monotonic()
        load.serves(200)
    print(f"first write {load.first_served_after(away) - (promoted - away):.2f} s after the promotion")
    assert not load.begun_after(promoted + SOON), load
    assert not any(isinstance(each.error, PoolTimeout) for each in load.failures), load
    assert _ports(pool) == {standby.port}
    check_whole(pool)


def test_a_pool_for_reads_moves_to_the_standby_when_the_primary_stops(
    pair: tuple[Cluster, Standby], own_pool: OwnPool
) -> None:
    primary, standby = pair
    pool = own_pool(2, 6, both(primary, standby), timeout=10.0)
    with Load(pool) as load:
        load.serves(100)
        primary.stop()
        away = time.monotonic()
        load.serves(200)
    assert not load.begun_after(away), load
    assert _ports(pool) == {standby.port}
    check_whole(pool)


def _ports(pool: Any) -> set[int]:
    return {int(conn.info.port) for conn in pool._idle} or {
        int(conn.info.port) for conn in list(pool._used.values()) if conn is not None
    }


@pytest.fixture
def demote(own: Cluster) -> Iterator[Any]:
    """A function that makes the server refuse writes in new transactions, as after a failover."""
    setting = "ALTER DATABASE app SET default_transaction_read_only = on"

    def make_read_only() -> None:
        own.execute(setting)
        own.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        own.execute("SELECT pg_reload_conf()")

    yield make_read_only
    conn = own.connect()
    run(conn, "SET default_transaction_read_only = off")
    run(conn, "ALTER DATABASE app RESET default_transaction_read_only")
    run(conn, "ALTER SYSTEM RESET default_transaction_read_only")
    run(conn, "SELECT pg_reload_conf()")
    conn.close()


def writing_pool(own: Cluster, own_pool: OwnPool, **options: Any) -> Any:
    """A pool of four open connections to a server that has to take writes."""
    pool = own_pool(0, 4, own.dsn("app", "app") + " target_session_attrs=read-write", **options)
    held = [pool.getconn() for _ in range(4)]
    for conn in held:
        backend(conn)
        pool.putconn(conn)
    return pool


def test_a_pinged_connection_to_a_server_that_became_read_only_reaches_no_caller(
    own: Cluster, own_pool: OwnPool, demote: Any
) -> None:
    """PostgreSQL 14 says so with its next answer; libpq then finds no server for writes: that is the cause."""
    pool = writing_pool(own, own_pool, pre_ping_after=0.0)
    demote()

    def is_refused() -> bool:
        try:
            pool.putconn(pool.getconn())
        except psycopg2.OperationalError as error:
            return "read-only" in str(error)
        return False

    until(is_refused, "the ping hears of it")
    for _ in range(4):
        assert is_refused()
    assert pool.stats()["size"] == 0


def test_a_lease_that_met_a_server_gone_read_only_has_all_connections_replaced(
    own: Cluster, own_pool: OwnPool, demote: Any
) -> None:
    """HikariCP#2185: after a failover pooled sessions sit on the old primary, and every write fails."""
    pool = writing_pool(own, own_pool)
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction), pool.connection() as conn:
        demote()
        until(lambda: query(conn, "SHOW transaction_read_only") == "on" or conn.rollback(), "it is read-only")
        run(conn, "CREATE TABLE nothing (n int)")
    assert pool.stats()["closed_for"] == {"read-only": 4}
    assert pool.stats()["size"] == 0
    with pytest.raises(psycopg2.OperationalError, match="read-only"):
        pool.getconn()


def test_without_that_demand_a_read_only_server_is_as_good_as_another(
    own: Cluster, own_pool: OwnPool, demote: Any
) -> None:
    pool = own_pool(0, 2)
    demote()
    with Load(pool) as load:
        load.serves(50)
    assert not load.failures
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction), pool.connection() as conn:
        until(lambda: query(conn, "SHOW transaction_read_only") == "on" or conn.rollback(), "it is read-only")
        run(conn, "CREATE TABLE nothing (n int)")
    assert "read-only" not in pool.stats()["closed_for"]
