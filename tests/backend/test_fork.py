"""After a fork: the child never touches a parent's session, and has connections of its own at once.

Two processes on one inherited psycopg2 connection read each other's answers (psycopg/psycopg2#487, #853): 81
wrong rows in 20 runs. psycopg2's own pool hung in 40 of 40 children that were forked while its lock was held.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import psycopg2
import pytest
from flask import Flask

from backend import Hardening, ThreadedConnectionPool, fork, get_db_connection, install
from backend.dropin import ReturningPool, installed
from tests.support.children import FORKS, in_child
from tests.support.sql import backend, query, run
from tests.support.threads import DEADLINE, Running, together, until, waiting

from .conftest import MakePool

pytestmark = FORKS


def held_by_another_thread(lock: Any) -> tuple[Running, threading.Event]:
    """Have a thread hold the lock until the event is set."""
    locked, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            locked.set()
            assert let_go.wait(DEADLINE)

    holder = Running(hold)
    assert locked.wait(DEADLINE)
    return holder, let_go


def lease_and_ask(pool: ThreadedConnectionPool) -> int:
    with pool.connection(timeout=5.0) as conn:
        return backend(conn)


class TestChild:
    def test_a_child_gets_a_backend_of_its_own(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 2)
        pool.putconn(pool.getconn())
        mine = lease_and_ask(pool)
        theirs = in_child(lambda: lease_and_ask(pool))
        assert theirs != mine
        assert lease_and_ask(pool) == mine

    def test_a_child_starts_with_an_empty_pool(self, make_pool: MakePool) -> None:
        """A parent that had all connections out must not leave its child without any."""
        pool = make_pool(1, 2)
        held = [pool.getconn(), pool.getconn()]
        stats = in_child(pool.stats)
        assert (stats["size"], stats["idle"], stats["used"], stats["waiting"]) == (0, 0, 0, 0)
        assert in_child(lambda: lease_and_ask(pool)) not in [backend(conn) for conn in held]

    def test_a_child_of_a_waiting_parent_waits_for_nobody(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        held = pool.getconn()
        waiter = Running(pool.getconn)
        waiting(pool)
        assert in_child(lambda: lease_and_ask(pool)) != backend(held)
        pool.putconn(held)
        assert waiter.result() is held

    def test_a_child_forked_while_the_lock_is_held_does_not_hang(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 2)
        pool.putconn(pool.getconn())
        holder, let_go = held_by_another_thread(pool._slots.lock)
        assert in_child(lambda: lease_and_ask(pool), timeout=8)
        let_go.set()
        holder.join()

    def test_a_child_forked_while_a_pool_forgets_its_parent_does_not_hang(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 2)
        holder, let_go = held_by_another_thread(fork.once)
        assert in_child(lambda: lease_and_ask(pool), timeout=8)
        let_go.set()
        holder.join()

    def test_children_forked_under_load_all_work(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 3)
        stop = threading.Event()

        def work() -> int:
            count = 0
            while not stop.is_set():
                number = count
                with pool.connection() as conn:
                    assert query(conn, "SELECT %s", number) == number
                count += 1
            return count

        threads = [Running(work) for _ in range(4)]
        for _ in range(5):
            assert in_child(lambda: lease_and_ask(pool), timeout=8)
        stop.set()
        assert all(thread.result() for thread in threads)

    def test_a_grandchild_gets_a_backend_of_its_own(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 2)
        mine = lease_and_ask(pool)

        def child() -> tuple[int, int]:
            own = lease_and_ask(pool)
            return own, in_child(lambda: lease_and_ask(pool))

        assert len({mine, *in_child(child)}) == 3

    def test_a_threaded_child_that_no_hook_told_of_the_fork_forgets_once(
        self, make_pool: MakePool, dsn: str
    ) -> None:
        """uWSGI forks in C: the pool finds out at the first checkouts, and those may come at the same moment."""
        leased = threading.Event()

        class Slow(ThreadedConnectionPool):
            def _after_fork(self) -> None:
                is_first = first.acquire(blocking=False)
                if not is_first:
                    assert leased.wait(DEADLINE)  # it saw the old process id, and gets here late
                super()._after_fork()

        first = threading.Lock()
        pool = make_pool(1, 4, kind=Slow)
        pool.putconn(pool.getconn())
        pool._pid = -1  # what a child of a fork in C sees
        early = Running(pool.getconn)
        conn = early.result()
        late = Running(pool._after_fork)
        leased.set()
        late.join()
        assert query(conn, "SELECT 1") == 1
        pool.putconn(conn)
        assert pool.stats()["idle"] == 1


class TestParent:
    @pytest.mark.parametrize("ending", ["exit", "close", "closeall", "collect", "putconn", "drain", "killed"])
    def test_the_parents_sessions_survive_the_child(self, make_pool: MakePool, ending: str) -> None:
        """A close() in the child would send Terminate on the parent's socket (PlanExeOrg/PlanExe#674)."""
        pool = make_pool(1, 2)
        idle, used = pool.getconn(), pool.getconn()
        pids = backend(idle), backend(used)
        run(used, "CREATE TEMP TABLE mine (x int)")
        pool.putconn(idle)
        holder = [used, idle]

        def child() -> str:
            lease_and_ask(pool)
            if ending == "close":
                for conn in holder:
                    conn.close()
            elif ending == "closeall":
                pool.closeall()
            elif ending == "drain":
                pool.drain()
            elif ending == "putconn":
                pool.putconn(used)
            elif ending == "collect":
                holder.clear()
                gc.collect()
            elif ending == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            return "ended"

        if ending == "killed":
            with pytest.raises(pytest.fail.Exception, match="without a word"):
                in_child(child)
        else:
            assert in_child(child) == "ended"
        assert query(used, "SELECT count(*) FROM mine") == 0
        assert backend(used) == pids[1]
        with pool.connection(timeout=0) as again:
            assert backend(again) == pids[0]

    def test_a_drop_in_childs_close_leaves_the_parent_alone(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 2, kind=ReturningPool)
        conn = pool.getconn()
        pid = backend(conn)
        assert in_child(lambda: conn.close()) is None
        assert backend(conn) == pid

    @pytest.mark.parametrize("what", ["drain", "resize"])
    def test_a_child_that_no_hook_told_of_the_fork_closes_nothing(
        self, make_pool: MakePool, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pool that was not used since a fork in C still lists the parent's idle connections."""
        pool = make_pool(1, 2)
        conn = pool.getconn()
        pid = backend(conn)
        pool.putconn(conn)
        monkeypatch.setattr(pool, "_after_fork", lambda: None)  # the hook that a fork in C does not run

        def child() -> None:
            if what == "resize":
                pool.resize(0, 1)
                pool.resize(0, 1)
            else:
                pool.drain()

        in_child(child)
        monkeypatch.undo()
        assert lease_and_ask(pool) == pid

    def test_the_parents_backends_end_with_the_parent_while_a_child_lives(
        self, make_pool: MakePool, backends: Callable[[], int]
    ) -> None:
        """The child holds a copy of each socket: unless it lets go, a killed parent's backends stay for ever."""
        before = backends()
        reader, writer = os.pipe()
        parent = os.fork()
        if not parent:
            _hold_with_a_child(make_pool(1, 2), writer)
        try:
            child = int(os.read(reader, 20))
            assert backends() == before + 2
        finally:
            os.kill(parent, signal.SIGKILL)
            os.waitpid(parent, 0)
        try:
            until(lambda: backends() == before, "the killed parent's backends end")
        finally:
            os.kill(child, signal.SIGKILL)
            os.close(reader)
            os.close(writer)


def _hold_with_a_child(pool: ThreadedConnectionPool, writer: int) -> NoReturn:
    """Take one connection and leave one idle, fork a child that lives on, and wait for the end."""
    try:
        held, idle = pool.getconn(), pool.getconn()
        pool.putconn(idle)
        child = os.fork()
        if child:
            os.write(writer, str(child).encode())
        time.sleep(30)
        assert held
    finally:
        os._exit(1)


class TestStaleUse:
    def test_a_parents_lease_answers_an_error_in_the_child_and_never_rows(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 2)
        conn = pool.getconn()
        cursor = conn.cursor()
        cursor.execute("SELECT generate_series(1, 3)")

        def child() -> list[str]:
            seen = []
            for attempt in (lambda: query(conn, "SELECT 'rows'"), lambda: cursor.execute("SELECT 1"), conn.commit):
                try:
                    seen.append(f"no error: {attempt()}")
                except psycopg2.Error:
                    seen.append("error")
            return seen

        assert in_child(child) == ["error"] * 3
        assert [row[0] for row in cursor.fetchall()] == [1, 2, 3]
        assert query(conn, "SELECT 1") == 1

    def test_both_sides_may_query_at_once(self, make_pool: MakePool) -> None:
        """Two processes on one inherited connection: 81 wrong rows in 20 runs of plain psycopg2."""
        pool = make_pool(2, 4)
        for conn in [pool.getconn() for _ in range(4)]:
            pool.putconn(conn)

        def wrong_answers(side: int) -> int:
            def work(number: int) -> int:
                wrong = 0
                for turn in range(25):
                    expected = side * 1_000_000 + number * 1000 + turn
                    with pool.connection() as conn:
                        wrong += query(conn, "SELECT %s", expected) != expected
                return wrong

            return sum(together(4, work))

        child = Running(in_child, lambda: wrong_answers(1))
        assert wrong_answers(2) == 0
        assert child.result() == 0


class TestInARequest:
    def test_a_child_forked_inside_a_request_gets_a_connection_of_its_own(self, url: str) -> None:
        """multiprocessing inside a view: the request's lease is the parent's."""
        app = Flask(__name__)
        Hardening(app, DATABASE_URL=url)

        def ask() -> int:
            with get_db_connection() as conn:
                return backend(conn)

        with app.test_request_context():
            outer = get_db_connection()
            assert in_child(ask) != backend(outer)
            assert query(outer, "SELECT 1") == 1
            outer.close()

    def test_a_child_of_a_drop_in_process_gets_connections_of_its_own(self, dsn: str) -> None:
        install(1, 2)
        conn = psycopg2.connect(dsn)
        mine = backend(conn)

        def child() -> tuple[int, int]:
            other = psycopg2.connect(dsn)
            drop_in = installed()
            assert drop_in is not None
            return backend(other), sum(pool.stats()["used"] for pool in drop_in.pools.values())

        theirs, used = in_child(child)
        assert theirs != mine
        assert used == 1
        assert backend(conn) == mine
        conn.close()
