"""After a fork: the child never touches a parent's session, and has connections of its own at once.

Two processes on one inherited psycopg2 connection read each other's answers (psycopg/psycopg2#487, #853): 81
wrong rows in 20 runs. psycopg2's own pool hung in 40 of 40 children that were forked while its lock was held.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import psycopg2
import pytest
from flask import Flask

from backend import Hardening, ThreadedConnectionPool, fork, get_db_connection, install, leasing
from backend.dropin import ReturningPool, installed
from backend.guard import Guard
from backend.housekeeper import housekeeper
from tests.support.children import FORKS, in_child
from tests.support.connects import Connects
from tests.support.sql import backend, query, run
from tests.support.threads import DEADLINE, Running, together, until, waiting

from .conftest import MakePool

pytestmark = FORKS
APPS = Path(__file__).resolve().parents[1] / "support" / "apps"


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


def in_process(work: Callable[[], Any], timeout: float = 10.0) -> Any:
    """As `in_child`, by multiprocessing."""
    forking = multiprocessing.get_context("fork")
    reader, writer = forking.Pipe(duplex=False)
    process = forking.Process(target=lambda: writer.send(work()))
    process.start()
    writer.close()
    try:
        if not reader.poll(timeout):
            process.kill()
            pytest.fail(f"the child hung for {timeout} s")
        return reader.recv()
    finally:
        process.join(timeout)
        reader.close()


Point = Callable[[ThreadedConnectionPool, Connects], AbstractContextManager[Any]]


@contextmanager
def idle(pool: ThreadedConnectionPool, connects: Connects) -> Iterator[None]:
    pool.putconn(pool.getconn())
    yield


@contextmanager
def leased(pool: ThreadedConnectionPool, connects: Connects) -> Iterator[None]:
    conn = pool.getconn()
    before = backend(conn)
    yield
    assert backend(conn) == before
    pool.putconn(conn)


@contextmanager
def waiting_for_one(pool: ThreadedConnectionPool, connects: Connects) -> Iterator[None]:
    held = [pool.getconn(), pool.getconn()]
    waiter = Running(pool.getconn)
    waiting(pool)
    yield
    for conn in held:
        pool.putconn(conn)
    pool.putconn(waiter.result())


@contextmanager
def connecting(pool: ThreadedConnectionPool, connects: Connects) -> Iterator[None]:
    connects.entered.clear()
    connects.held = let_go = threading.Event()
    opening = Running(pool.getconn)
    assert connects.entered.wait(DEADLINE)
    yield
    let_go.set()
    conn = opening.result()
    assert query(conn, "SELECT 1") == 1
    pool.putconn(conn)


@contextmanager
def inside_the_housekeeper(pool: ThreadedConnectionPool, connects: Connects) -> Iterator[None]:
    connects.entered.clear()
    connects.held = let_go = threading.Event()
    pool.resize(3, 3)  # has the housekeeper connect
    assert connects.entered.wait(DEADLINE)
    yield
    let_go.set()
    until(lambda: pool.stats()["size"] == 3, "the parent's housekeeper goes on")


@contextmanager
def housekeeper_locked(pool: ThreadedConnectionPool, connects: Connects) -> Iterator[None]:
    holder, let_go = held_by_another_thread(housekeeper._changed)
    yield
    let_go.set()
    holder.join()


@contextmanager
def pool_locked(pool: ThreadedConnectionPool, connects: Connects) -> Iterator[None]:
    holder, let_go = held_by_another_thread(pool._slots.lock)
    yield
    let_go.set()
    holder.join()


POINTS: list[Point] = [
    idle, leased, waiting_for_one, connecting, inside_the_housekeeper, housekeeper_locked, pool_locked,
]  # fmt: skip


class TestEveryPoint:
    @pytest.mark.parametrize("child", [in_child, in_process])
    @pytest.mark.parametrize("point", POINTS)
    def test_three_children_of_a_fork_at_this_point_have_backends_of_their_own(
        self, make_pool: MakePool, connects: Connects, point: Point, child: Callable[..., Any]
    ) -> None:
        """7 points, 2 ways to fork, 3 children: 42. Of psycopg2's own pool, 40 of 40 hung under load."""
        pool = make_pool(1, 3)
        witness = pool.getconn()
        run(witness, "CREATE TEMP TABLE mine (x int)")

        def work() -> tuple[int, int]:
            connects.held = None
            own = lease_and_ask(pool)
            return own, lease_and_ask(pool)

        with point(pool, connects):
            parents = [record.connection().info.backend_pid for record in pool._slots.records]
            answers = [child(work, timeout=8) for _ in range(3)]
        assert all(first == again and first not in parents for first, again in answers)
        assert len({first for first, _ in answers}) == 3
        assert query(witness, "SELECT count(*) FROM mine") == 0
        pool.putconn(witness)

    def test_the_housekeeper_of_a_child_fills_its_own_pool(self, make_pool: MakePool) -> None:
        """A thread does not come along over a fork: the child's starts with its first connection."""
        pool = make_pool(2, 3)
        lease_and_ask(pool)
        until(lambda: pool.stats()["idle"] == 2, "the parent's housekeeper fills the pool")

        def child() -> tuple[int, int, int]:
            before = _housekeepers()
            lease_and_ask(pool)
            until(lambda: pool.stats()["idle"] == 2, "the child's housekeeper fills the pool", 8)
            return before, _housekeepers(), pool.stats()["opened"]

        assert in_child(child) == (0, 1, 2)
        assert _housekeepers() == 1 and pool.stats()["opened"] == 2

    def test_threads_of_a_child_forked_while_a_thread_was_inside_the_lock_can_use_the_pool(
        self, make_pool: MakePool
    ) -> None:
        """New threads get the numbers of those that the fork has left behind."""
        pool = make_pool(1, 2)
        pool.putconn(pool.getconn())
        holder, let_go = held_by_another_thread(pool._slots.lock)

        def child() -> tuple[set[int], int]:
            together(4, lambda number: lease_and_ask(pool))
            return Guard.inside, pool.stats()["used"]

        try:
            assert in_child(child, timeout=8) == (set(), 0)
        finally:
            let_go.set()
            holder.join()

    def test_a_thread_that_comes_while_another_forgets_the_parent_gets_none_of_its_connections(
        self, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a fork in C two threads of the child come at once: one forgets, the other must not overtake it."""
        pool = make_pool(1, 4)
        parents = pool.getconn()
        pool.putconn(parents)
        pool._pid = -1  # what a child of a fork in C sees
        entered, let_go = threading.Event(), threading.Event()

        class Slow(leasing.Slots):
            def __init__(self, *args: Any) -> None:
                entered.set()
                assert let_go.wait(DEADLINE)
                super().__init__(*args)

        monkeypatch.setattr(leasing, "Slots", Slow)
        first = Running(pool.getconn)
        assert entered.wait(DEADLINE)
        second = Running(pool.getconn)
        second._thread.join(0.2)  # the faulty one is through by then
        let_go.set()
        conns = [first.result(), second.result()]
        assert parents not in conns
        for conn in conns:
            pool.putconn(conn)

    def test_without_dev_null_a_child_works_all_the_same(
        self, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A chroot without /dev; the parent's sessions stay the parent's."""
        pool = make_pool(1, 2)
        mine = lease_and_ask(pool)
        monkeypatch.setattr(os, "devnull", "/nowhere/null")
        assert in_child(lambda: lease_and_ask(pool)) != mine
        assert lease_and_ask(pool) == mine

    def test_a_pool_that_fails_to_forget_its_parent_does_not_keep_the_others_from_it(
        self, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pools = [make_pool(1, 2) for _ in range(3)]
        mine = [lease_and_ask(pool) for pool in pools]
        real, failing = ThreadedConnectionPool._after_fork, pools[1:2]

        def fail_once(pool: ThreadedConnectionPool) -> None:
            if pool in failing:
                failing.remove(pool)
                raise OSError("no")
            real(pool)

        monkeypatch.setattr(ThreadedConnectionPool, "_after_fork", fail_once)
        known, theirs = in_child(
            lambda: ([pool._pid == os.getpid() for pool in pools], [lease_and_ask(pool) for pool in pools])
        )
        monkeypatch.undo()
        assert known == [True, False, True]
        assert not {*mine} & {*theirs}
        assert [lease_and_ask(pool) for pool in pools] == mine


def _housekeepers() -> int:
    return sum(thread.name == "pool-housekeeper" and thread.is_alive() for thread in threading.enumerate())


class TestForkInC:
    """libc's fork, called so that none of Python's hooks run: what a server written in C may do."""

    @pytest.mark.parametrize("kind", ["pool", "drop-in"])
    def test_children_that_no_hook_told_of_the_fork_have_backends_of_their_own(self, dsn: str, kind: str) -> None:
        """In a process of its own: a fork without hooks is no place for pytest's threads."""
        done = subprocess.run(
            [sys.executable, str(APPS / "forked_in_c.py"), dsn, kind],
            capture_output=True, text=True, timeout=60, cwd=APPS.parents[2],
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        said = json.loads(done.stdout)
        assert {first: child["error"] for first, child in said["children"].items()} == {
            "getconn": "", "drain": "", "resize": "", "stats": "", "closeall": "",
        }  # fmt: skip
        for first, child in said["children"].items():
            assert len(set(child["backends"])) == (0 if first == "closeall" else 3)
            assert not set(child["backends"]) & set(said["parent"])
        assert said["parent_again"] == said["parent"]
        assert said["temp_table_is_there"]


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
            until(lambda: backends() <= before, "the killed parent's backends end")
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
