"""Random operations of two tenants on one table through the cache, and an oracle that knows what may be answered.

Each row has a version that every committed change raises. Once a writer's `commit()` has returned, its version is
acknowledged: no read that begins afterwards, in any thread or process, may answer an older one. What a writer will
roll back is marked "never", and nobody but himself may see it. What carries the other tenant's name is a breach.
If the oracle is wrong, a stale answer passes for a good one; a test breaks the cache on purpose and it must tell.
"""

from __future__ import annotations

import logging
import multiprocessing
import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg2

from backend import Cache, ThreadedConnectionPool

TENANTS = ("north", "south")
ROWS = 8  # per tenant: few, so that readers and writers meet
WRITES, OWN_READS = 0.05, 0.5  # shares: of operations that write, of writers that read before they commit
ROLLBACKS = 0.3
SHORTEST_TTL, LONGEST_TTL = 0.005, 1.0
MOST_TOLD = 5
SCHEMA = """
    DROP TABLE IF EXISTS trial;
    CREATE TABLE trial (tenant text, id int, version int NOT NULL, mark text NOT NULL, PRIMARY KEY (tenant, id))
"""
READ = "SELECT version, mark FROM trial WHERE tenant = %s AND id = %s"
WRITE = """
    UPDATE trial SET version = version + 1, mark = %s WHERE tenant = %s AND id = %s RETURNING version
"""


@dataclass
class Outcome:
    """What happened.

    Attributes:
        operations, writes, rollbacks: how many of each; operations are all of them.
        loads: reads that asked the database.
        restarts: of Redis, meanwhile.
        breaches: how many answers were wrong, and the first few in words.
    """

    operations: int = 0
    writes: int = 0
    rollbacks: int = 0
    loads: int = 0
    restarts: int = 0
    breaches: int = 0
    told: list[str] = field(default_factory=list)

    def add(self, other: dict[str, Any]) -> None:
        """Add another part's."""
        for name in ("operations", "writes", "rollbacks", "loads", "restarts", "breaches"):
            setattr(self, name, getattr(self, name) + other[name])
        self.told = [*self.told, *other["told"]][:MOST_TOLD]


def prepare(dsn: str) -> None:
    """Make the table."""
    with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(SCHEMA)
        for tenant in TENANTS:
            cursor.execute(
                "INSERT INTO trial SELECT %s, n, 0, 'good' FROM generate_series(1, %s) AS n", (tenant, ROWS)
            )


class Trial:
    """One process's part.

    Args:
        dsn: of the database.
        cache: what is tried.
        acknowledged: the versions that were acknowledged, by `place`, shared between processes, with `get_lock()`.
        seed: of the random choices.
    """

    def __init__(self, dsn: str, cache: Any, acknowledged: Any, seed: int) -> None:
        self._pool = ThreadedConnectionPool(1, 16, dsn)
        self._views = {tenant: cache.within(tenant=tenant) for tenant in TENANTS}
        self._cache = cache
        self._acknowledged = acknowledged
        self._seed = seed
        self._lock = threading.Lock()
        self.outcome = Outcome()

    def run(self, threads: int, operations: int) -> Outcome:
        """Run so many operations in each of so many threads."""
        running = [
            threading.Thread(target=self._work, args=(random.Random(self._seed * 1000 + number), operations))
            for number in range(threads)
        ]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        self.outcome.loads = int(self._cache.stats()["loads"] + self._cache.stats()["bypassed"])
        self._pool.closeall()
        return self.outcome

    def _work(self, choose: random.Random, operations: int) -> None:
        done = Outcome()
        try:
            for _ in range(operations):
                tenant, row = choose.choice(TENANTS), choose.randint(1, ROWS)
                done.operations += 1
                if choose.random() < WRITES:
                    self._write(choose, tenant, row, done)
                else:
                    self._read(choose, tenant, row)
        except Exception as error:
            self._breach(f"{type(error).__name__}: {error}")
        with self._lock:
            self.outcome.add(asdict(done))

    def _read(self, choose: random.Random, tenant: str, row: int) -> None:
        place = TENANTS.index(tenant) * ROWS + row - 1
        floor = self._acknowledged[place]
        answer = self._ask(choose, tenant, row, None)
        if answer[0] != tenant or answer[1] != row:
            self._breach(f"{tenant} {row} was answered with {answer}")
        elif answer[3] == "never":
            self._breach(f"{tenant} {row}: version {answer[2]} was rolled back")
        elif answer[2] < floor:
            self._breach(f"{tenant} {row}: version {answer[2]}, and {floor} was acknowledged before")

    def _write(self, choose: random.Random, tenant: str, row: int, done: Outcome) -> None:
        view, is_good = self._views[tenant], choose.random() >= ROLLBACKS
        with_own_read, first = choose.random() < OWN_READS, choose.random() < 0.5
        conn = self._pool.getconn()
        try:
            if first:
                view.invalidate(f"row:{row}", conn=conn)
            with conn.cursor() as cursor:
                cursor.execute(WRITE, ("good" if is_good else "never", tenant, row))
                version = cursor.fetchone()[0]
            if with_own_read:
                own = self._ask(choose, tenant, row, conn)
                # Before it has told the cache, a writer may be answered with what others see.
                if first and own[2:] != [version, "good" if is_good else "never"]:
                    self._breach(f"{tenant} {row}: its writer saw {own} instead of version {version}")
            if not first:
                view.invalidate(f"row:{row}", conn=conn)
            if is_good:
                conn.commit()
                self._acknowledge(TENANTS.index(tenant) * ROWS + row - 1, version)
                done.writes += 1
            else:
                conn.rollback()
                done.rollbacks += 1
        finally:
            self._pool.putconn(conn)

    def _acknowledge(self, place: int, version: int) -> None:
        with self._acknowledged.get_lock():
            if self._acknowledged[place] < version:
                self._acknowledged[place] = version

    def _ask(self, choose: random.Random, tenant: str, row: int, conn: Any) -> list[Any]:
        ttl = choose.uniform(SHORTEST_TTL, LONGEST_TTL)
        stale = choose.choice((0.0, 0.0, 0.05))
        answer: list[Any] = self._views[tenant].get_or_load(
            f"row:{row}", lambda: self._load(tenant, row, conn), ttl, [f"row:{row}"], stale=stale
        )
        return answer

    def _load(self, tenant: str, row: int, conn: Any) -> list[Any]:
        lease = conn or self._pool.getconn()
        try:
            with lease.cursor() as cursor:
                cursor.execute(READ, (tenant, row))
                return [tenant, row, *cursor.fetchone()]
        finally:
            if conn is None:
                self._pool.putconn(lease)

    def _breach(self, what: str) -> None:
        with self._lock:
            self.outcome.breaches += 1
            self.outcome.told = [*self.outcome.told, what][:MOST_TOLD]


def _in_process(
    dsn: str, url: str, acknowledged: Any, seed: int, threads: int, operations: int, told: Any
) -> None:
    logging.getLogger("backend.cache_breaker").setLevel(logging.ERROR)  # Redis is killed on purpose
    with closing(Cache(url, namespace="trial", timeout=1.0)) as cache:
        told.put(asdict(Trial(dsn, cache, acknowledged, seed).run(threads, operations)))


def try_memory(dsn: str, operations: int, seed: int = 1, threads: int = 4) -> Outcome:
    """Try the memory of one process with several threads."""
    prepare(dsn)
    acknowledged = multiprocessing.get_context("spawn").Array("i", len(TENANTS) * ROWS)
    return Trial(dsn, Cache(namespace="trial"), acknowledged, seed).run(threads, operations // threads)


def try_redis(
    dsn: str,
    server: Any,
    operations: int,
    seed: int = 1,
    processes: int = 2,
    threads: int = 2,
    restart_every: float = 5.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Try Redis with several processes of several threads; it is killed and started again every few seconds.

    Args:
        server: the stack's Redis.
        restart_every: seconds; 0 never.
    """
    prepare(dsn)
    context = multiprocessing.get_context("spawn")
    acknowledged, told = context.Array("i", len(TENANTS) * ROWS), context.Queue()
    share = operations // (processes * threads)
    workers = [
        context.Process(
            target=_in_process, args=(dsn, server.url, acknowledged, seed * 100 + number, threads, share, told)
        )
        for number in range(processes)
    ]
    outcome = Outcome()
    for worker in workers:
        worker.start()
    due = time.monotonic() + restart_every
    parts: list[dict[str, Any]] = []
    while len(parts) < processes:
        try:
            parts.append(told.get(timeout=0.2))
        except Exception:
            if not any(worker.is_alive() for worker in workers) and told.empty():
                raise RuntimeError("a worker of the trial ended without an answer") from None
        if restart_every and time.monotonic() > due and len(parts) < processes:
            server.kill()
            server.start()
            outcome.restarts += 1
            due = time.monotonic() + restart_every
            progress(f"Redis was killed and started {outcome.restarts} times")
    for worker in workers:
        worker.join()
    for part in parts:
        outcome.add(part)
    return outcome
