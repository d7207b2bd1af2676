"""What ends a lease the wrong way: errors, interrupts, dead threads, rollbacks that fail. The slot comes back."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest

from tests.support.sql import query, run
from tests.support.threads import Running, together, until

from ..conftest import MakePool
from .load import check_whole

Terminate = Callable[..., None]


class OwnError(Exception):
    """An error of an app."""


@pytest.mark.parametrize("kind", [OwnError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_in_a_block_is_passed_on_and_undoes_the_transaction(
    make_pool: MakePool, kind: type[BaseException]
) -> None:
    pool = make_pool(4, 4)
    with pool.connection() as conn:
        run(conn, "DROP TABLE IF EXISTS interrupted")
        run(conn, "CREATE TABLE interrupted (n int)")

    def work(number: int) -> int:
        seen = 0
        for _ in range(20):
            try:
                with pool.connection() as conn:
                    run(conn, "INSERT INTO interrupted VALUES (1)")
                    raise kind
            except kind:
                seen += 1
        return seen

    assert together(16, work) == [20] * 16
    with pool.connection() as conn:
        assert query(conn, "SELECT count(*) FROM interrupted") == 0
        run(conn, "DROP TABLE interrupted")
    assert pool.stats()["opened"] <= 4
    check_whole(pool)


@pytest.mark.parametrize("how", ["returns", "raises", "exits"])
def test_a_thread_that_ends_inside_a_lease_gives_its_slot_back(make_pool: MakePool, how: str) -> None:
    """Nobody calls putconn: the connection is collected with the thread's frame."""
    pool = make_pool(0, 2, timeout=5.0)

    def work() -> None:
        conn = pool.getconn()
        run(conn, "SELECT 1")
        if how == "raises":
            raise OwnError
        if how == "exits":
            raise SystemExit

    for _ in range(6):
        thread = Running(work)
        error = thread.error()
        del error, thread  # a traceback would keep the frame, and with it the lease
        gc.collect()
    assert pool.stats()["dropped"] == 6
    check_whole(pool)


def test_waiters_are_served_by_threads_that_die(make_pool: MakePool) -> None:
    pool = make_pool(0, 2, timeout=10.0)

    def die() -> None:
        run(pool.getconn(), "SELECT 1")

    def live(number: int) -> int:
        for _ in range(5):
            threading.Thread(target=die, daemon=True).start()
            _ask(pool)  # a variable here would keep the object, which the next thread may lease and drop
        return 5

    assert together(8, live, 20.0) == [5] * 8
    until(lambda: pool.stats()["dropped"] == 40, "all have died")
    check_whole(pool)


class TestReturn:
    def test_a_rollback_that_fails_frees_the_slot_and_wakes_a_waiter(
        self, make_pool: MakePool, terminate: Terminate
    ) -> None:
        """psycopg2's own pool loses the slot for good."""
        pool = make_pool(0, 2, timeout=10.0)
        held = [pool.getconn(), pool.getconn()]
        pids = [query(conn, "SELECT pg_backend_pid()") for conn in held]
        callers = [Running(_ask, pool) for _ in range(4)]
        until(lambda: pool.stats()["waiting"] == 4, "callers wait")
        terminate(*pids)
        for conn in held:
            pool.putconn(conn)  # does not raise
        assert [caller.result() for caller in callers] == [1] * 4
        del conn
        held.clear()
        check_whole(pool)

    @pytest.mark.parametrize("kind", [OwnError, psycopg2.OperationalError])
    def test_a_hook_that_raises_costs_the_connection_and_not_the_caller(
        self, make_pool: MakePool, kind: type[Exception]
    ) -> None:
        chance = random.Random(1)

        def on_return(conn: Any) -> None:
            if chance.random() < 0.2:
                raise kind("no")

        pool = make_pool(0, 4, on_return=on_return)

        def work(number: int) -> int:
            for _ in range(25):
                with pool.connection() as conn:
                    query(conn, "SELECT 1")
            return 25

        assert together(16, work, 20.0) == [25] * 16
        assert pool.stats()["closed_for"]["not reset"] > 20
        until(lambda: pool.stats()["used"] == 0, "all are back")
        assert pool.stats()["size"] == pool.stats()["idle"]

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_an_interrupt_during_the_return_is_passed_on_and_frees_the_slot(
        self, make_pool: MakePool, kind: type[BaseException]
    ) -> None:
        fails = [True]

        def on_return(conn: Any) -> None:
            if fails:
                fails.pop()
                raise kind

        pool = make_pool(0, 1, on_return=on_return)
        conn = pool.getconn()
        run(conn, "SELECT 1")
        with pytest.raises(kind):
            pool.putconn(conn)
        del conn
        check_whole(pool)


class TestConfigure:
    @pytest.mark.parametrize("kind", [OwnError, psycopg2.OperationalError, KeyboardInterrupt])
    def test_a_hook_that_raises_reaches_its_caller_and_no_slot_is_lost(
        self, make_pool: MakePool, kind: type[BaseException], backends: Callable[[], int]
    ) -> None:
        fails = [True] * 12

        def configure(conn: Any) -> None:
            if fails:
                fails.pop()
                raise kind("no")

        pool = make_pool(0, 4, configure=configure, timeout=10.0)
        before = backends()

        def work(number: int) -> int:
            served = 0
            while served < 5:
                try:
                    with pool.connection() as conn:
                        query(conn, "SELECT 1")
                    served += 1
                except kind:
                    pass
            return served

        assert together(16, work) == [5] * 16
        check_whole(pool)
        assert backends() - before == 4

    def test_an_error_class_that_cannot_be_copied_is_passed_on_all_the_same(self, make_pool: MakePool) -> None:
        """The pool keeps a copy of the last failure; a class with arguments of its own refuses to be copied."""

        class Peculiar(psycopg2.OperationalError):
            def __init__(self, one: int, two: int) -> None:
                super().__init__("peculiar")

        fails = [True, True, True]

        def configure(conn: Any) -> None:
            if fails:
                fails.pop()
                raise Peculiar(1, 2)

        pool = make_pool(0, 2, configure=configure)
        for _ in range(3):
            with pytest.raises(psycopg2.OperationalError, match="peculiar"):
                pool.getconn()
        check_whole(pool)


def _ask(pool: Any) -> Any:
    with pool.connection() as conn:
        return query(conn, "SELECT 1")
