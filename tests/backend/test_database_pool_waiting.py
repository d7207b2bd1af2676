"""Waiting: first come first served, one deadline, nobody forgotten whatever goes wrong."""

from __future__ import annotations

import gc
import pickle
import signal
import threading
import time
from types import FrameType

import psycopg2
import psycopg2.pool
import pytest

from backend import HardenError, PoolClosed, PoolTimeout, PoolTooBusy
from backend.waitqueue import Waiter
from tests.support.connects import Connects
from tests.support.sql import query
from tests.support.threads import DEADLINE, Running, together, until, waiting

from .conftest import MakePool


class TestOrder:
    def test_waiters_are_served_in_the_order_of_their_arrival(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        held = pool.getconn()
        served: list[int] = []

        def take(number: int) -> None:
            conn = pool.getconn()
            served.append(number)
            pool.putconn(conn)

        running = []
        for number in range(8):
            running.append(Running(take, number))
            waiting(pool, number + 1)
        pool.putconn(held)
        for thread in running:
            thread.join()
        assert served == list(range(8))

    def test_a_newcomer_does_not_barge(self, make_pool: MakePool) -> None:
        """A semaphore or queue.Queue lets the releasing thread take back what a waiter was woken for."""
        pool = make_pool(1, 1)
        held = pool.getconn()
        got, give = threading.Event(), threading.Event()

        def wait() -> None:
            conn = pool.getconn()
            got.set()
            assert give.wait(DEADLINE)
            pool.putconn(conn)

        waiter = Running(wait)
        waiting(pool)
        pool.putconn(held)
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0)  # at once, in the thread that has just given back
        assert got.wait(DEADLINE)
        give.set()
        waiter.join()

    def test_all_threads_are_served_alike(self, make_pool: MakePool) -> None:
        """16 threads on 2 connections: with barging a few of them get nearly everything."""
        pool = make_pool(2, 2)
        for conn in [pool.getconn(), pool.getconn()]:
            pool.putconn(conn)
        counts = [0] * 16

        def work(number: int) -> None:
            while sum(counts) < 16 * 40:
                conn = pool.getconn()
                query(conn, "SELECT 1")
                counts[number] += 1
                pool.putconn(conn)

        together(16, work)
        fairness = sum(counts) ** 2 / (len(counts) * sum(count * count for count in counts))
        assert fairness > 0.9, counts


class TestTimeout:
    def test_zero_does_not_wait(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, timeout=60.0)
        held = pool.getconn()
        start = time.monotonic()
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0)
        assert time.monotonic() - start < 5
        assert pool.stats()["waiting"] == 0
        pool.putconn(held)

    def test_the_call_overrides_the_pool(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, timeout=60.0)
        held = pool.getconn()
        start = time.monotonic()
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0.05)
        assert 0.05 <= time.monotonic() - start < 5
        pool.putconn(held)

    def test_message_says_the_numbers_and_the_next_step_in_one_line(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, timeout=0.01)
        held = pool.getconn()
        with pytest.raises(
            PoolTimeout,
            match=r"^no connection after 0\.\d\d s, and this very thread holds them all "
            r"\(used=1 idle=0 waiting=0 max=1, longest lease \d+\.\d s\); "
            r"held by MainThread for \d+\.\d s \(idle, now at \S*test_database_pool_waiting.py:\d+ in test_.*; "
            r"shorten what holds them, see /health/database/pool; raise DB_POOL_MAX last$",
        ):
            pool.getconn()
        pool.putconn(held)

    def test_error_carries_the_figures_and_is_a_child_of_psycopg2s(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        held = pool.getconn()
        with pytest.raises(PoolTimeout) as caught:
            pool.getconn(timeout=0)
        error = caught.value
        assert isinstance(error, HardenError)
        assert isinstance(error, psycopg2.pool.PoolError)
        assert isinstance(error, psycopg2.OperationalError)
        assert error.code == "H401"
        assert (error.figures["used"], error.figures["maxconn"], error.figures["timeouts"]) == (1, 1, 1)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is PoolTimeout
        assert (str(again), again.figures) == (str(error), error.figures)
        pool.putconn(held)

    def test_the_last_failed_connect_is_its_cause(self, make_pool: MakePool, connects: Connects) -> None:
        """psycopg_pool says "couldn't get a connection" and leaves the reason to the log."""
        pool = make_pool(1, 1)
        failure = psycopg2.OperationalError("the server is on fire")
        connects.failures = [failure]
        with pytest.raises(psycopg2.OperationalError, match="on fire"):
            pool.getconn()
        connects.held = threading.Event()
        connects.entered.clear()
        slow = Running(pool.getconn)
        assert connects.entered.wait(DEADLINE)
        with pytest.raises(PoolTimeout) as caught:
            pool.getconn(timeout=0.01)
        assert "on fire" in str(caught.value.__cause__)
        connects.held.set()
        pool.putconn(slow.result())

    def test_a_timeout_leaves_the_queue_clean(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        held = pool.getconn()
        for _ in range(3):
            with pytest.raises(PoolTimeout):
                pool.getconn(timeout=0.001)
        pool.putconn(held)
        assert (pool.stats()["waiting"], pool.stats()["idle"], pool.stats()["timeouts"]) == (0, 1, 3)

    def test_hand_off_at_the_instant_of_giving_up_loses_nothing(self, make_pool: MakePool) -> None:
        """psycopg/psycopg#509: connections were lost when a waiter gave up while it was being served."""
        pool = make_pool(2, 2)
        stop = time.monotonic() + 0.7
        seen = {"got": 0, "gave up": 0}

        def work(number: int) -> None:
            while time.monotonic() < stop:
                try:
                    conn = pool.getconn(timeout=0.0002)
                except PoolTimeout:
                    seen["gave up"] += 1
                else:
                    seen["got"] += 1
                    pool.putconn(conn)

        for thread in [Running(work, number) for number in range(8)]:
            thread.join()
        stats = pool.stats()
        assert min(seen.values()) > 0, seen
        assert (stats["used"], stats["waiting"]) == (0, 0)
        assert stats["size"] == stats["idle"] <= 2


class TestShedding:
    def test_more_than_max_waiting_are_refused_at_once(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, max_waiting=1)
        held = pool.getconn()
        waiter = Running(pool.getconn)
        waiting(pool)
        with pytest.raises(PoolTooBusy, match="too many callers wait already") as caught:
            pool.getconn()
        assert isinstance(caught.value, psycopg2.OperationalError)
        assert caught.value.code == "H402"
        assert pickle.loads(pickle.dumps(caught.value)).figures["waiting"] == 1
        pool.putconn(held)
        pool.putconn(waiter.result())
        assert pool.stats()["refused"] == 1


class TestFailures:
    def test_a_failed_connect_hands_its_permit_to_the_next_waiter(
        self, make_pool: MakePool, connects: Connects
    ) -> None:
        """SQLAlchemy's waiter is served 5 s later, by its own time-out."""
        pool = make_pool(1, 1)
        connects.held = threading.Event()
        connects.failures = [psycopg2.OperationalError("no route")]
        first = Running(pool.getconn)
        assert connects.entered.wait(DEADLINE)
        second = Running(pool.getconn)
        waiting(pool)
        connects.held.set()
        assert "no route" in str(first.error())
        assert query(second.result(), "SELECT 1") == 1
        assert pool.stats()["connect_failures"] == 1

    def test_with_the_server_down_every_caller_gets_the_cause_at_once(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1, connect={"dsn": "host=127.0.0.1 port=1 dbname=x user=x"}, timeout=60.0)
        start = time.monotonic()
        for thread in [Running(pool.getconn) for _ in range(8)]:
            error = thread.error()
            assert isinstance(error, psycopg2.OperationalError)
            assert not isinstance(error, PoolTimeout)
            assert "Connection refused" in str(error)
        assert time.monotonic() - start < 5
        assert pool.stats()["size"] == 0

    def test_anything_raised_while_connecting_frees_the_slot(
        self, make_pool: MakePool, connects: Connects
    ) -> None:
        pool = make_pool(1, 1)
        connects.failures = [KeyboardInterrupt(), MemoryError()]
        for kind in (KeyboardInterrupt, MemoryError):
            with pytest.raises(kind):
                pool.getconn(timeout=0)
        assert query(pool.getconn(timeout=0), "SELECT 1") == 1

    def test_a_failed_connect_keeps_nobodys_locals_alive(self, make_pool: MakePool, connects: Connects) -> None:
        """The pool remembers why it could not connect; with its traceback it would keep every frame above."""
        pool = make_pool(1, 2)
        connects.failures = [None, psycopg2.OperationalError("no")]

        def helper() -> None:
            mine = pool.getconn()
            assert mine
            pool.getconn()

        with pytest.raises(psycopg2.OperationalError):
            helper()
        gc.collect()  # the fake keeps what it raises in a cycle
        stats = pool.stats()
        assert (stats["used"], stats["dropped"]) == (0, 1)

    def test_closeall_wakes_those_that_wait(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        held = pool.getconn()
        running = [Running(pool.getconn) for _ in range(3)]
        waiting(pool, 3)
        pool.closeall()
        for thread in running:
            error = thread.error()
            assert isinstance(error, PoolClosed)
            assert "was closed while this caller waited" in str(error)
        assert held.closed


class TestInterruptedWaiters:
    """A signal, a gevent timeout or Gunicorn's abort can raise anywhere in a wait."""

    class Interrupted(BaseException):
        pass

    def interrupt_main_thread(self, seconds: float) -> None:
        def raise_it(number: int, frame: FrameType | None) -> None:
            raise self.Interrupted

        signal.signal(signal.SIGALRM, raise_it)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    @pytest.fixture(autouse=True)
    def _restored(self) -> object:
        before = signal.getsignal(signal.SIGALRM)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    def test_an_interrupted_waiter_leaves_the_queue(self, make_pool: MakePool) -> None:
        pool = make_pool(1, 1)
        held = pool.getconn()
        self.interrupt_main_thread(0.05)
        with pytest.raises(self.Interrupted):
            pool.getconn()
        assert pool.stats()["waiting"] == 0
        pool.putconn(held)
        assert pool.getconn(timeout=0) is held

    def test_a_waiter_interrupted_after_it_was_served_passes_the_connection_on(
        self, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pool = make_pool(1, 1)
        held = pool.getconn()
        self.raise_after_service(monkeypatch)
        waiter = Running(pool.getconn)
        waiting(pool)
        monkeypatch.undo()
        second = Running(pool.getconn)
        waiting(pool, 2)
        pool.putconn(held)
        assert isinstance(waiter.error(), self.Interrupted)
        assert second.result() is held

    def test_a_waiter_interrupted_with_a_permit_passes_the_permit_on(
        self, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pool = make_pool(1, 1)
        held = pool.getconn()
        self.raise_after_service(monkeypatch)
        waiter = Running(pool.getconn)
        waiting(pool)
        monkeypatch.undo()
        pool.putconn(held, close=True)
        assert isinstance(waiter.error(), self.Interrupted)
        assert pool.stats()["size"] == 0
        assert query(pool.getconn(timeout=0), "SELECT 1") == 1

    def test_a_waiter_interrupted_after_closeall_leaves_no_connection_behind(
        self, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pool = make_pool(1, 1)
        held = pool.getconn()
        go = threading.Event()
        self.raise_after_service(monkeypatch, go)
        waiter = Running(pool.getconn)
        waiting(pool)
        monkeypatch.undo()
        pool.putconn(held)
        until(lambda: not pool._slots.queue, "the waiter is served")
        pool.closeall()
        go.set()
        assert isinstance(waiter.error(), self.Interrupted)
        assert psycopg2.extensions.connection.closed.__get__(held)

    def test_a_waiter_interrupted_while_it_waits_for_the_lock_leaves_the_queue(
        self, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After its sleep a waiter takes the lock once more, and can be interrupted there as well."""
        pool = make_pool(1, 1)
        held = pool.getconn()
        locked, let_go = threading.Event(), threading.Event()

        def occupy() -> None:
            waiting(pool)
            with pool._slots.lock:
                locked.set()
                assert let_go.wait(DEADLINE)

        occupier = Running(occupy)
        self.interrupt_main_thread(0.3)
        threading.Timer(0.5, let_go.set).start()
        with pytest.raises(self.Interrupted):
            pool.getconn(timeout=0.1)  # its sleep is over at 0.1 s, the signal comes at 0.3 s
        assert locked.is_set()
        let_go.set()
        occupier.join()
        pool.putconn(held)
        assert (pool.stats()["waiting"], pool.stats()["idle"]) == (0, 1)

    def raise_after_service(self, monkeypatch: pytest.MonkeyPatch, go: threading.Event | None = None) -> None:
        """Have the next waiter raise right after it was handed something, and `go` was set."""
        original, interrupted, first = Waiter.sleep, self.Interrupted, threading.Lock()

        def sleep(waiter: Waiter, seconds: float) -> None:
            is_first = first.acquire(blocking=False)
            original(waiter, seconds)
            if is_first:
                assert go is None or go.wait(DEADLINE)
                raise interrupted

        monkeypatch.setattr(Waiter, "sleep", sleep)
