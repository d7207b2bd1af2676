"""The faults: what each does, for how long, and how it is healed.

A fault is a function that hurts the world and returns how to heal it; healing may wait until a part is up again.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg2

from ..demo.sides import DATABASE, ROLE
from .world import World

Heal = Callable[[], None]
OURS = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = %s AND pid <> pg_backend_pid()"
TERMINATE = f"SELECT count(pg_terminate_backend(pid)) FROM ({OURS}) ours"


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        part: what it hurts; two faults at once hurt different ones.
        says: what happens, in a few words.
        seconds: between the hurt and the healing.
        hurt: does it.
    """

    name: str
    part: str
    says: str
    seconds: float
    hurt: Callable[[Any, random.Random], Heal]  # of the place that it is made for


def nothing() -> None:
    """Heal what is over at once."""


def kill_worker(world: World, chance: random.Random) -> Heal:
    """Kill a worker with requests in flight."""
    chance.choice(world.workers()).kill()
    return nothing


def kill_workers(world: World, _: random.Random) -> Heal:
    """Kill every worker at once."""
    for worker in world.workers():
        worker.kill()
    return nothing


def restart_app(world: World, _: random.Random) -> Heal:
    """Replace all workers in order (HUP)."""
    world.web.child.process.send_signal(signal.SIGHUP)
    return nothing


def end_backends(world: World, _: random.Random) -> Heal:
    """Terminate every connection of the app at the database."""
    with suppress(psycopg2.OperationalError):  # there is none where the server still recovers
        world.rows(TERMINATE, (DATABASE, ROLE))
    return nothing


def end_backend(world: World, chance: random.Random) -> Heal:
    """Terminate one connection of the app at the database."""
    with suppress(psycopg2.OperationalError):
        pids = [row[0] for row in world.rows(OURS, (DATABASE, ROLE))]
        if pids:
            world.rows("SELECT pg_terminate_backend(%s)", (chance.choice(pids),))
    return nothing


def kill_backend(world: World, chance: random.Random) -> Heal:
    """Kill a backend with -9: PostgreSQL drops all others and recovers."""
    with suppress(psycopg2.OperationalError, ProcessLookupError):
        pids = [row[0] for row in world.rows(OURS, (DATABASE, ROLE))]
        if pids:
            os.kill(chance.choice(pids), signal.SIGKILL)
    return nothing


def restart_postgres(world: World, _: random.Random) -> Heal:
    """Stop PostgreSQL fast, and start it again."""
    world.cluster.stop()
    return world.cluster.start


def crash_postgres(world: World, _: random.Random) -> Heal:
    """Stop PostgreSQL at once, without a checkpoint; it recovers from its log."""
    assert world.cluster.child is not None
    world.cluster.child.process.send_signal(signal.SIGQUIT)
    world.cluster.child.process.wait()
    return world.cluster.start


def freeze_postgres(world: World, _: random.Random) -> Heal:
    """Stop every process of PostgreSQL in its tracks; its sockets stay open."""
    return _frozen(world.postgres())


def kill_pgbouncer(world: World, _: random.Random) -> Heal:
    """Kill PgBouncer, and start it again."""
    assert world.bouncer.child is not None
    world.bouncer.child.process.kill()
    world.bouncer.child.process.wait()
    return world.bouncer.start


def restart_pgbouncer(world: World, _: random.Random) -> Heal:
    """Stop PgBouncer in order, and start it again."""
    world.bouncer.stop()
    return world.bouncer.start


def pause_pgbouncer(world: World, _: random.Random) -> Heal:
    """PAUSE and RESUME, by their signals."""
    assert world.bouncer.child is not None
    process = world.bouncer.child.process
    process.send_signal(signal.SIGUSR1)
    return lambda: process.send_signal(signal.SIGUSR2)


def freeze_pgbouncer(world: World, _: random.Random) -> Heal:
    """Stop PgBouncer in its tracks; its sockets stay open."""
    assert world.bouncer.child is not None
    return _frozen([psutil.Process(world.bouncer.child.pid)])


def kill_redis(world: World, _: random.Random) -> Heal:
    """Kill Redis, and start it empty."""
    world.redis.kill()
    return world.redis.start


def restart_redis(world: World, _: random.Random) -> Heal:
    """Stop Redis in order, and start it empty."""
    world.redis.stop()
    return world.redis.start


def freeze_redis(world: World, _: random.Random) -> Heal:
    """Stop Redis in its tracks; its connections and its entries stay."""
    world.redis.freeze()
    return world.redis.thaw


def lock_payments(world: World, _: random.Random) -> Heal:
    """Lock the table of payments, as a careless migration does."""
    try:
        conn = psycopg2.connect(world.cluster.dsn(DATABASE))
    except psycopg2.OperationalError:
        return nothing  # the server still recovers: nobody can lock anything
    with conn.cursor() as cursor:
        cursor.execute("LOCK TABLE payments IN ACCESS EXCLUSIVE MODE")
    return conn.close


def take_connections(world: World, _: random.Random) -> Heal:
    """Let somebody else take every connection that PostgreSQL has left."""
    taken: list[Any] = []
    try:
        while len(taken) < 200:
            taken.append(psycopg2.connect(world.cluster.dsn(DATABASE, ROLE)))
    except psycopg2.OperationalError:
        pass  # that is all there are

    def give_back() -> None:
        for conn in taken:
            conn.close()

    return give_back


def storm(world: World, _: random.Random) -> Heal:
    """Keep the database's processors busy with somebody else's reports."""
    stopped = threading.Event()

    def report() -> None:
        with suppress(psycopg2.Error), closing(world.cluster.connect(DATABASE)) as conn, conn.cursor() as cursor:
            while not stopped.is_set():
                cursor.execute("SELECT count(*) FROM messages a, generate_series(1, 100)")

    threads = [threading.Thread(target=report, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()

    def end() -> None:
        stopped.set()
        for thread in threads:
            thread.join(20)

    return end


def _frozen(processes: list[psutil.Process]) -> Heal:
    def tell(number: signal.Signals) -> None:
        for process in processes:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue

    tell(signal.SIGSTOP)
    return lambda: tell(signal.SIGCONT)


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill-worker", "app", "a Gunicorn worker is killed", 0.5, kill_worker),
        Fault("kill-workers", "app", "all Gunicorn workers are killed at once", 0.5, kill_workers),
        Fault("restart-app", "app", "workers are replaced in order (HUP)", 2.0, restart_app),
        Fault("end-backends", "postgres", "all connections are terminated by the database", 0.2, end_backends),
        Fault("end-backend", "postgres", "one connection is terminated by the database", 0.2, end_backend),
        Fault("kill-backend", "postgres", "a backend is killed, PostgreSQL recovers", 1.0, kill_backend),
        Fault("restart-postgres", "postgres", "PostgreSQL is restarted (fast)", 1.0, restart_postgres),
        Fault("crash-postgres", "postgres", "PostgreSQL crashes and comes back", 1.0, crash_postgres),
        Fault("freeze-postgres", "postgres", "PostgreSQL hangs for two seconds", 2.0, freeze_postgres),
        Fault("kill-pgbouncer", "pgbouncer", "PgBouncer is killed and comes back", 0.5, kill_pgbouncer),
        Fault("restart-pgbouncer", "pgbouncer", "PgBouncer is stopped and started", 0.5, restart_pgbouncer),
        Fault("pause-pgbouncer", "pgbouncer", "PgBouncer pauses for a second", 1.0, pause_pgbouncer),
        Fault("freeze-pgbouncer", "pgbouncer", "PgBouncer hangs for two seconds", 2.0, freeze_pgbouncer),
        Fault("kill-redis", "redis", "Redis is killed and comes back empty", 1.0, kill_redis),
        Fault("restart-redis", "redis", "Redis is stopped and started, empty", 0.5, restart_redis),
        Fault("freeze-redis", "redis", "Redis hangs for two seconds", 2.0, freeze_redis),
        Fault("lock-payments", "postgres", "a table is locked for two seconds", 2.0, lock_payments),
        Fault("take-connections", "postgres", "others take all connections of PostgreSQL", 2.0, take_connections),
        Fault("storm", "postgres", "others' reports keep the processors busy", 2.0, storm),
    )
}
