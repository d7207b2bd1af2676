"""A hundred thousand leases with every fault at random: no slot lost, no backend left, nothing shared by two."""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2

from scripts.stack.postgres import Cluster
from tests.support.proxy import Proxy
from tests.support.sql import query
from tests.support.threads import Running, until

from ..conftest import MakePool
from .load import THREADS, Holders, check_whole

LEASES = 100_000
MAXCONN = 8
VICTIM = """
    SELECT count(pg_terminate_backend(pid)) FROM (
        SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND datname = %s ORDER BY random() LIMIT 1
    ) victims
"""


class Storm:
    """Threads that lease, now and then wrongly, and one that breaks things meanwhile.

    Attributes:
        did: how often what was done.
        failed: what failed, by class; each has to be an error that an app expects of psycopg2.
    """

    def __init__(self, pool: Any, proxy: Proxy, admin: Any, database: str, seed: int) -> None:
        self.pool, self.proxy, self.admin, self.database, self.seed = pool, proxy, admin, database, seed
        self.did: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.holders = Holders()
        self.is_over = threading.Event()

    def run(self, leases: int) -> None:
        """Make so many leases, and break something five times a second."""
        breaking = Running(self._break)
        threads = [Running(self._lease_often, number, leases // THREADS) for number in range(THREADS)]
        for thread in threads:
            self.did.update(thread.result(120.0))
        self.is_over.set()
        breaking.result()

    def _lease_often(self, number: int, count: int) -> Counter[str]:
        chance, did = random.Random(self.seed * 1000 + number), Counter[str]()
        for turn in range(count):
            draw = chance.random()
            kind = "well" if draw >= 0.005 else ("raises", "closes", "drops", "hand", "key")[int(draw * 1000)]
            try:
                getattr(self, f"_{kind}")(chance, (number, turn))
            except ZeroDivisionError:
                pass
            except psycopg2.Error as error:
                self.failed[type(error).__name__] += 1
            did[kind] += 1
        return did

    def _use(self, conn: Any, chance: random.Random, token: tuple[int, int]) -> None:
        self.holders.enter(conn)
        try:
            conn.token = token
            if chance.random() < 0.04:
                assert query(conn, "SELECT %s", token[1]) == token[1]
            assert conn.token == token
        finally:
            self.holders.leave(conn)

    def _well(self, chance: random.Random, token: tuple[int, int]) -> None:
        with self.pool.connection() as conn:
            self._use(conn, chance, token)

    def _raises(self, chance: random.Random, token: tuple[int, int]) -> None:
        with self.pool.connection() as conn:
            self._use(conn, chance, token)
            raise ZeroDivisionError

    def _closes(self, chance: random.Random, token: tuple[int, int]) -> None:
        conn = self.pool.getconn()
        try:
            self._use(conn, chance, token)
        finally:
            self.pool.putconn(conn, close=True)

    def _drops(self, chance: random.Random, token: tuple[int, int]) -> None:
        self._use(self.pool.getconn(), chance, token)

    def _hand(self, chance: random.Random, token: tuple[int, int]) -> None:
        conn = self.pool.getconn()
        try:
            self._use(conn, chance, token)
            conn.close()  # to the server; what comes back is a closed connection
        finally:
            self.pool.putconn(conn)

    def _key(self, chance: random.Random, token: tuple[int, int]) -> None:
        conn = self.pool.getconn(token)
        try:
            assert self.pool.getconn(token) is conn
            self._use(conn, chance, token)
        finally:
            self.pool.putconn(conn)

    def _break(self) -> None:
        chance = random.Random(self.seed)
        kinds = ("terminate", "terminate", "terminate", "cut", "resize", "drain", "suspend")
        while not self.is_over.wait(0.2):
            kind = chance.choice(kinds)
            self.did[kind] += 1
            if kind == "terminate":
                query(self.admin, VICTIM, self.database)
            elif kind == "cut":
                self.proxy.cut()
            elif kind == "resize":
                self.pool.resize(chance.randrange(3), chance.randrange(3, MAXCONN + 1))
            elif kind == "drain":
                self.pool.drain()
            else:
                self.pool.suspend()
                self.is_over.wait(0.005)
                self.pool.resume()
        self.pool.resize(0, MAXCONN)


def seldom(chance: float, seed: int, error: type[Exception]) -> Callable[[Any], None]:
    """Return a hook that raises now and then."""
    draws = random.Random(seed)

    def hook(conn: Any) -> None:
        if draws.random() < chance:
            raise error("a hook of the app's")

    return hook


def test_a_hundred_thousand_leases_with_faults_at_random_lose_nothing(
    make_pool: MakePool, cluster: Cluster, database: str, backends: Callable[[], int]
) -> None:
    seed = int(os.environ.get("STORM_SEED") or random.randrange(10**6))
    print(f"STORM_SEED={seed}")
    before, start = backends(), time.monotonic()
    with Proxy(cluster.port) as proxy, closing(cluster.connect()) as admin:
        pool = make_pool(
            0, MAXCONN, connect={"dsn": cluster.dsn(database, "app"), "port": proxy.port}, timeout=30.0,
            max_lifetime=5.0, pre_ping_after=1.0, leak_after=60.0,
            configure=seldom(0.02, seed, psycopg2.OperationalError), on_return=seldom(0.005, seed + 1, ValueError),
        )  # fmt: skip
        storm = Storm(pool, proxy, admin, database, seed)
        storm.run(LEASES)
        took = time.monotonic() - start
        print(f"{took:.1f} s, {dict(storm.did)}, failed {dict(storm.failed)}, closed {pool.stats()['closed_for']}")
        gc.collect()
        assert not storm.holders.shared
        assert "PoolTimeout" not in storm.failed and "PoolError" not in storm.failed
        assert sum(storm.failed.values()) < LEASES / 20
        assert storm.did["drops"] > 50 and storm.did["terminate"] > 5
        for _ in range(100):  # what the hooks still refuse is no fault of the pool's
            try:
                check_whole(pool)
                break
            except (psycopg2.OperationalError, ValueError):
                gc.collect()
        else:
            raise AssertionError(f"not whole: {pool.stats()}")
        stats = pool.stats()
        assert stats["opened"] - stats["closed"] - stats["dropped"] == stats["size"]
        until(lambda: backends() - before == stats["size"], "no other backend is left")
        pool.closeall()
        until(lambda: backends() <= before, "no backend is left")
    assert took < 300.0  # nobody slept; 20 to 70 s, as the machine is
