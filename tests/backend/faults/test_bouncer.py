"""PgBouncer restarted, killed, paused: its clients wait or hear the cause, and the pool is whole afterwards."""

from __future__ import annotations

import subprocess
import time

import psycopg2
import pytest

from backend import PoolTimeout
from scripts.stack import Stack
from scripts.stack.bouncer import Bouncer
from scripts.stack.child import as_user, unprivileged_user
from scripts.stack.postgres import Cluster
from tests.support.threads import Running, until

from .conftest import OwnPool
from .load import SOON, Attempts, Load, check_whole, first_accepted


def console(stack: Stack, bouncer: Bouncer, command: str) -> None:
    """Give PgBouncer an order, as the user that it runs as: the only one who may."""
    psql = str(stack.binaries.postgres / "psql")
    where = ["--host", str(bouncer._folder), "--port", str(bouncer.port), "--username", "pgbouncer"]
    argv = [psql, *where, "--dbname", "pgbouncer", "--no-password", "--no-psqlrc", "--command", command]
    done = subprocess.run(
        as_user(argv, unprivileged_user()), capture_output=True, text=True, timeout=20, cwd="/", env={}
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_after_pgbouncer_was_gone_under_load_the_next_leases_are_served(
    own_bouncer: Bouncer, own_pool: OwnPool, attempts: Attempts, how: str
) -> None:
    url = own_bouncer.url("app", "app")
    pool = own_pool(2, 6, url, timeout=10.0, reset="pgbouncer")
    with Load(pool) as load:
        load.serves(200)
        assert own_bouncer.child is not None
        if how == "kill":
            own_bouncer.child.process.kill()
            own_bouncer.child.process.wait()
        else:
            own_bouncer.stop()
        away = time.monotonic()
        load.fails(100)
        until_then = time.monotonic()
        asking = Running(first_accepted, url)
        own_bouncer.start()
        back = asking.result()
        load.serves(300)
    meanwhile = [each for each in load.failures if away < each.start < each.end < until_then]
    assert meanwhile
    for each in meanwhile:
        assert isinstance(each.error, psycopg2.OperationalError) and not isinstance(each.error, PoolTimeout), each
        assert "Connection refused" in str(each.error), each
    late = load.first_served_after(away) - (back - away)
    print(f"{how}: first lease served {late:.3f} s after PgBouncer's first answer")
    assert late < SOON
    assert not load.begun_after(back + SOON), load
    assert not [each for each in attempts.overlaps(away) if each[1] < back]
    check_whole(pool)


def test_a_paused_pgbouncer_delays_callers_and_fails_none(
    own_stack: Stack, own_bouncer: Bouncer, own_pool: OwnPool
) -> None:
    """PAUSE is what a restart of the server behind it starts with: no lease fails, no connection is replaced."""
    pool = own_pool(2, 6, own_bouncer.url("app", "app"), timeout=10.0, reset="pgbouncer")
    with Load(pool) as load:
        load.serves(200)
        opened = pool.stats()["opened"]
        console(own_stack, own_bouncer, "PAUSE app")
        until(lambda: pool.stats()["waiting"] >= 10, "callers wait")
        served = len(load.served)
        until(lambda: pool.stats()["used"] == 6, "those that have a connection wait for an answer")
        pause = time.monotonic()
        until(lambda: time.monotonic() > pause + 0.5, "half a second passes")
        assert len(load.served) - served <= 6  # answers that were under way
        console(own_stack, own_bouncer, "RESUME app")
        load.serves(200)
    assert not load.failures, load
    assert pool.stats()["opened"] - opened <= 6 - min(opened, 6)
    check_whole(pool)


def test_the_server_behind_a_paused_pgbouncer_restarts_without_one_failed_lease(
    own: Cluster, own_stack: Stack, own_bouncer: Bouncer, own_pool: OwnPool
) -> None:
    pool = own_pool(2, 6, own_bouncer.url("app", "app"), timeout=20.0, reset="pgbouncer")
    with Load(pool) as load:
        load.serves(200)
        console(own_stack, own_bouncer, "PAUSE app")
        own.restart()
        console(own_stack, own_bouncer, "RESUME app")
        load.serves(200)
    assert not load.failures, load
    check_whole(pool)
