"""Every sequence of a pool's operations, against a model: who holds what, what lies idle, how much there is."""

from __future__ import annotations

import gc
from contextlib import closing
from typing import Any, ClassVar

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backend import PoolClosed, PoolOptions, PoolTimeout, ThreadedConnectionPool
from scripts.stack.postgres import Cluster
from tests.support.sql import query
from tests.support.threads import Running

NUMBER = st.integers(0, 100)


class PoolMachine(RuleBasedStateMachine):
    """One thread, a pool without minconn, callers that do not wait.

    The model: `held` (lease, backend, key), `idle` (backends, the one used last at the end), `dead` and `retired`
    (backends that must reach nobody any more).
    """

    cluster: ClassVar[Cluster]
    database: ClassVar[str]

    @initialize(maxconn=st.integers(1, 4))
    def make(self, maxconn: int) -> None:
        dsn = self.cluster.dsn(self.database, "app")
        self.pool = ThreadedConnectionPool(0, maxconn, dsn, pool_options=PoolOptions(timeout=0.0, max_idle=0))
        self.held: list[tuple[Any, int, Any]] = []
        self.idle: list[int] = []
        self.dead: set[int] = set()
        self.retired: set[int] = set()
        self.maxconn, self.suspended = maxconn, False
        self.admin = self.cluster.connect()

    def _expect(self, conn: Any) -> int:
        pid = int(query(conn, "SELECT pg_backend_pid()"))
        conn.rollback()
        while self.idle and (last := self.idle.pop()) != pid:
            assert last in self.dead, "a connection was passed over that was fit"
        assert pid not in self.dead | self.retired
        assert pid not in [other for _, other, _ in self.held]
        return pid

    @rule()
    def take(self) -> None:
        if self.suspended or (not self.idle and len(self.held) >= self.maxconn):
            with pytest.raises(PoolTimeout):
                self.pool.getconn()
            return
        conn = self.pool.getconn()
        self.held.append((conn, self._expect(conn), None))

    @rule(key=st.integers(0, 2))
    def take_by_key(self, key: int) -> None:
        known = [conn for conn, _, its in self.held if its == key]
        if known:
            assert self.pool.getconn(key) is known[0]
        elif self.suspended or (not self.idle and len(self.held) >= self.maxconn):
            with pytest.raises(PoolTimeout):
                self.pool.getconn(key)
        else:
            conn = self.pool.getconn(key)
            self.held.append((conn, self._expect(conn), key))

    @precondition(lambda self: self.held)
    @rule(which=NUMBER, close=st.booleans(), touch=st.booleans())
    def give_back(self, which: int, close: bool, touch: bool) -> None:
        conn, pid, key = self.held.pop(which % len(self.held))
        if touch:
            try:
                query(conn, "SELECT 1")
            except psycopg2.Error:
                assert pid in self.dead
        is_kept = not (close or (touch and pid in self.dead) or pid in self.retired)
        if self.size_before(pid) > self.maxconn:
            is_kept = False
        self.pool.putconn(conn, key, close)
        assert conn.closed
        if is_kept:
            self.idle.append(pid)
        with pytest.raises(psycopg2.InterfaceError):
            conn.cursor()
        if not self.pool.closed and close:
            with pytest.raises(psycopg2.pool.PoolError):
                self.pool.putconn(conn)

    def size_before(self, pid: int) -> int:
        return len(self.held) + len(self.idle) + 1

    @precondition(lambda self: self.held)
    @rule(which=NUMBER)
    def close_and_give_back(self, which: int) -> None:
        conn, _, _ = self.held.pop(which % len(self.held))
        conn.close()
        self.pool.putconn(conn)

    @precondition(lambda self: any(key is None for _, _, key in self.held))
    @rule(which=NUMBER)
    def drop(self, which: int) -> None:
        places = [place for place, (_, _, key) in enumerate(self.held) if key is None]  # a key holds on to its own
        del self.held[places[which % len(places)]]
        gc.collect(0)

    @rule(maxconn=st.integers(1, 4))
    def resize(self, maxconn: int) -> None:
        self.pool.resize(0, maxconn)
        self.maxconn = maxconn
        while self.idle and len(self.held) + len(self.idle) > maxconn:
            self.idle.pop()  # as the pool does

    @rule()
    def drain(self) -> None:
        self.pool.drain()
        self.retired |= {pid for _, pid, _ in self.held}
        self.idle.clear()

    @rule(is_on=st.booleans())
    def suspend_or_resume(self, is_on: bool) -> None:
        if is_on:
            self.pool.suspend()
        else:
            self.pool.resume()
        self.suspended = is_on

    @rule(which=NUMBER)
    def terminate(self, which: int) -> None:
        alive = [pid for pid in [*self.idle, *(pid for _, pid, _ in self.held)] if pid not in self.dead]
        if alive:
            pid = alive[which % len(alive)]
            assert query(self.admin, "SELECT pg_terminate_backend(%s, 5000)", pid)
            self.dead.add(pid)

    @invariant()
    def figures_are_the_models(self) -> None:
        if not hasattr(self, "pool"):
            return
        stats = self.pool.stats()
        assert (stats["used"], stats["waiting"], stats["connecting"]) == (len(self.held), 0, 0)
        assert stats["idle"] == len(self.idle)
        assert stats["size"] == len(self.held) + len(self.idle)
        assert stats["size"] <= max(self.maxconn, len(self.held))
        assert stats["suspended"] == self.suspended
        for conn, pid, _ in self.held:
            assert conn.info.backend_pid == pid if pid not in self.dead else True

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        with closing(self.admin):
            assert Running(self.pool.close).result() == len(self.held)
            assert self.pool.stats()["size"] == 0
            with pytest.raises(PoolClosed):
                self.pool.getconn()


def test_any_sequence_of_operations_keeps_to_the_model(cluster: Cluster, database: str) -> None:
    PoolMachine.cluster, PoolMachine.database = cluster, database
    run_state_machine_as_test(
        PoolMachine,
        settings=settings(
            max_examples=20, stateful_step_count=30, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
