"""Leases that nobody gives back: dropped, held for too long, closed by a finalizer."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import PoolTimeout
from backend.dropin import ReturningPool
from backend.slots import Slots
from tests.support.sql import backend, query
from tests.support.threads import DEADLINE, Running, waiting

from .conftest import MakePool

ROOT = Path(__file__).resolve().parents[2]


class TestDrops:
    """psycopg2's and psycopg_pool's own answer is a slot that is lost for ever."""

    def test_dropping_the_last_reference_frees_the_slot(
        self, make_pool: MakePool, backends: Callable[[], int]
    ) -> None:
        before = backends()
        pool = make_pool(1, 1)
        conn = pool.getconn()
        del conn
        assert (pool.stats()["size"], pool.stats()["dropped"]) == (0, 1)
        assert backends() == before
        assert query(pool.getconn(timeout=0), "SELECT 1") == 1

    def test_an_open_cursor_keeps_its_lease(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        cursor = pool.getconn().cursor()
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0)
        cursor.execute("SELECT 1")
        del cursor
        assert pool.getconn(timeout=0)

    def test_a_drop_wakes_the_first_waiter(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, timeout=60.0)
        held = [pool.getconn()]
        waiter = Running(pool.getconn)
        waiting(pool)
        held.clear()
        assert query(waiter.result(), "SELECT 1") == 1

    def test_the_end_of_a_thread_frees_its_lease(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)

        def leave_it_in_a_local() -> None:
            conn = pool.getconn()
            assert conn

        Running(leave_it_in_a_local).join()
        assert pool.stats()["used"] == 0
        assert pool.getconn(timeout=0)

    def test_a_drop_while_the_lock_is_held_wakes_a_waiter_at_its_release(self, make_pool: MakePool) -> None:
        """The collector cannot wait for the lock; whoever holds it must see to the drop when done."""
        pool = make_pool(1, 1, timeout=60.0)
        held = [pool.getconn()]
        waiter = Running(pool.getconn)
        waiting(pool)
        with pool._slots.lock:
            held.clear()
        assert query(waiter.result(), "SELECT 1") == 1

    def test_a_drop_is_seen_when_another_thread_holds_the_lock(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, timeout=60.0)
        held = [pool.getconn()]
        waiter = Running(pool.getconn)
        waiting(pool)
        locked, let_go = threading.Event(), threading.Event()

        def occupy() -> None:
            with pool._slots.lock:
                locked.set()
                assert let_go.wait(DEADLINE)

        occupier = Running(occupy)
        assert locked.wait(DEADLINE)
        dropper = Running(held.clear)
        let_go.set()
        dropper.join()
        occupier.join()
        assert query(waiter.result(), "SELECT 1") == 1

    def test_a_lease_in_a_reference_cycle_is_freed_by_the_collector(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        cycle: list[Any] = [pool.getconn()]
        cycle.append(cycle)
        del cycle
        gc.collect()
        assert pool.stats()["used"] == 0

    def test_dropping_a_returned_connections_variable_changes_nothing(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        conn = pool.getconn()
        pool.putconn(conn)
        del conn
        gc.collect()
        assert (pool.stats()["size"], pool.stats()["idle"], pool.stats()["dropped"]) == (1, 1, 0)


class TestInterpreterExit:
    def test_a_lease_held_at_exit_says_nothing(self, dsn: str) -> None:
        """When the interpreter ends, modules lose their names before the last connection is collected."""
        code = (
            "import sys, psycopg2; from backend import ThreadedConnectionPool, install\n"
            f"pool = ThreadedConnectionPool(1, 2, {dsn!r}); held = pool.getconn(); install()\n"
            f"psycopg2.other = psycopg2.connect({dsn!r}); sys.held = pool.getconn()"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class TestFinalizers:
    def test_a_finalizer_that_closes_may_run_while_the_lock_is_held(
        self, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`__del__` runs at any allocation, also inside the pool: `close()` there must not wait for itself."""
        pool = make_pool(1, 2, kind=ReturningPool)

        class Repository:
            def __init__(self) -> None:
                self.conn = pool.getconn()
                self.cycle = self

            def __del__(self) -> None:
                self.conn.close()

        def collect_inside(ledger: Slots) -> Any:
            gc.collect()
            return drops(ledger)

        drops = Slots._reap
        Repository()
        monkeypatch.setattr(Slots, "_reap", collect_inside)  # as an allocation there may
        Running(pool.stats).join()
        assert pool.stats()["used"] == 0
        assert pool.stats()["size"] == pool.stats()["idle"]

    def test_a_finalizer_that_connects_inside_the_pool_gets_an_error_and_not_a_deadlock(
        self, make_pool: MakePool
    ) -> None:
        pool = make_pool(1, 2)

        def use_inside() -> None:
            with pool._slots.lock:
                pool.getconn()

        assert "inside it" in str(Running(use_inside).error())
        assert query(pool.getconn(), "SELECT 1") == 1

    def test_a_close_under_the_lock_is_done_at_its_release(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, kind=ReturningPool)
        conn = pool.getconn()

        def close_inside() -> None:
            with pool._slots.lock:
                conn.close()

        Running(close_inside).join()
        assert conn.closed
        assert (pool.stats()["used"], pool.stats()["idle"]) == (0, 1)


class TestLeaks:
    def test_a_long_lease_is_reported_once_with_its_stack(
        self, make_pool: MakePool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """HikariCP#694: a leak report is a note, never a forced end; and it says so when it was none."""
        pool = make_pool(1, 2, leak_after=0.01)
        conn = pool.getconn()
        query(conn, "SELECT pg_sleep(0.02)")
        for _ in range(3):
            pool.stats()
        reports = [record.getMessage() for record in caplog.records]
        assert len(reports) == 1
        assert reports[0].startswith("connection held for 0.0 s; taken at ")
        assert "in test_a_long_lease_is_reported_once_with_its_stack" in reports[0].split(" < ")[0]
        assert "\n" not in reports[0]
        assert query(conn, "SELECT 1") == 1
        caplog.clear()
        pool.putconn(conn)
        messages = [record.getMessage() for record in caplog.records]
        assert messages == ["connection given back after all, after 0.0 s"]

    def test_each_lease_of_a_connection_is_reported_anew(
        self, make_pool: MakePool, caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = make_pool(1, 1, leak_after=0.01)
        for _ in range(2):
            conn = pool.getconn()
            query(conn, "SELECT pg_sleep(0.02)")
            pool.stats()
            pool.putconn(conn)
        assert sum("held for" in record.getMessage() for record in caplog.records) == 2

    def test_without_leak_after_nothing_is_said(
        self, make_pool: MakePool, caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = make_pool(1, 1)
        conn = pool.getconn()
        query(conn, "SELECT pg_sleep(0.02)")
        pool.stats()
        pool.putconn(conn)
        assert not caplog.records

    def test_a_log_handler_may_use_the_pool(self, make_pool: MakePool) -> None:
        """Logging under the lock would be slow, and for a handler that writes to the database for ever."""
        pool = make_pool(1, 2, leak_after=0.01)
        seen: list[int] = []

        class ToTheDatabase(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                with pool.connection() as conn:
                    seen.append(backend(conn))

        handler, log = ToTheDatabase(), logging.getLogger("backend.holders")
        log.addHandler(handler)
        try:
            conn = pool.getconn()
            query(conn, "SELECT pg_sleep(0.02)")
            Running(pool.stats).join()
            Running(pool.putconn, conn).join()
        finally:
            log.removeHandler(handler)
        assert len(seen) == 2
