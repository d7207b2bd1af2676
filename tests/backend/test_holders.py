"""Who holds what, since when and from where: right, on one line, and said once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import TRANSACTION_STATUS_ACTIVE, connection

from backend import PoolTimeout, PoolTooBusy
from backend.dropin import ReturningPool
from backend.holders import SHOWN, exhausted, holders, report_leaks, report_stalls, state
from backend.record import Record
from tests.support.sql import query, run
from tests.support.threads import DEADLINE, Running, until, waiting

from .conftest import Clock, MakePool

FIGURES = {"used": 5, "idle": 0, "waiting": 2, "maxconn": 5, "longest_lease": 12.34}


@pytest.fixture
def holder() -> Iterator[Callable[..., Running]]:
    """A function that starts a thread which holds a lease until the test ends."""
    go_on, started = threading.Event(), []

    def hold(pool: Any, prepare: Callable[[Any], Any] = lambda conn: None) -> Running:
        there = threading.Event()

        def hold_it_here() -> None:
            threading.current_thread().name = "slow-view"
            conn = pool.getconn()
            prepare(conn)
            there.set()
            go_on.wait(DEADLINE)
            if not pool.closed:
                pool.putconn(conn)

        started.append(Running(hold_it_here))
        assert there.wait(DEADLINE)
        return started[-1]

    yield hold
    go_on.set()
    for running in started:
        running.join()


def _fails(conn: Any) -> None:
    with pytest.raises(psycopg2.DataError):
        run(conn, "SELECT 1/0")


STATES: dict[str, Callable[[Any], Any]] = {
    "idle": lambda conn: None,
    "idle in a transaction": lambda conn: run(conn, "SELECT 1"),
    "idle in a failed transaction": _fails,
    "closed": lambda conn: connection.close(conn),
}


class TestState:
    @pytest.mark.parametrize("expected", sorted(STATES))
    def test_it_is_what_the_lease_is_doing(self, make_pool: MakePool, expected: str) -> None:
        conn = make_pool(1, 1).getconn()
        STATES[expected](conn)
        assert state(conn._record) == expected

    def test_a_query_under_way_is_seen_from_another_thread(self, make_pool: MakePool) -> None:
        conn = make_pool(1, 1).getconn()
        running = Running(query, conn, "SELECT pg_sleep(0.3)")
        until(lambda: conn.info.transaction_status == TRANSACTION_STATUS_ACTIVE, "the query is under way")
        assert state(conn._record) == "running a query"
        running.join()

    def test_a_dropped_connection_is_closed(self) -> None:
        assert state(Record(None, 0.0, 0.0)) == "closed"


class TestExhausted:
    def test_the_message_names_thread_seconds_state_and_place(
        self, make_pool: MakePool, clock: Clock, holder: Any
    ) -> None:
        pool = make_pool(0, 2, clock=clock, leak_after=3600.0)
        holder(pool, STATES["idle in a transaction"])
        clock.now += 2.5
        holder(pool)
        clock.now += 1.0
        with pytest.raises(PoolTimeout) as caught:
            pool.getconn(timeout=0)
        message = str(caught.value)
        assert "\n" not in message
        numbers = "(used=2 idle=0 waiting=0 max=2, longest lease 3.5 s)"
        assert message.startswith(f"no connection after 0.00 s {numbers}; held by slow-view for 3.5 s")
        assert f"held by slow-view for 3.5 s (idle in a transaction, taken at {__file__}:" in message
        assert "slow-view for 1.0 s (idle, taken at" in message
        assert "in hold_it_here" in message
        assert message.endswith("raise DB_POOL_MAX last")

    def test_the_error_has_all_holders_as_data_the_longest_first(
        self, make_pool: MakePool, clock: Clock, holder: Any
    ) -> None:
        pool = make_pool(0, 5, clock=clock)
        for _ in range(5):
            holder(pool)
            clock.now += 1.0
        with pytest.raises(PoolTimeout) as caught:
            pool.getconn(timeout=0)
        held = caught.value.holders
        assert [each["seconds"] for each in held] == [5.0, 4.0, 3.0, 2.0, 1.0]
        assert {each["thread"] for each in held} == {"slow-view"}
        assert {each["state"] for each in held} == {"idle"}
        assert {each["taken_at"] for each in held} == {""}  # nobody asked for it by leak_after
        assert all("in hold_it_here" in each["now_at"] for each in held)
        assert "; and 2 more; shorten what holds them" in str(caught.value)
        assert "(idle, now at " in str(caught.value)
        assert caught.value.figures["longest_lease"] == 5.0

    def test_who_is_refused_is_told_the_same(self, make_pool: MakePool, holder: Any) -> None:
        pool = make_pool(0, 1, max_waiting=1)
        holder(pool)
        waiter = Running(pool.getconn, None, 5.0)
        waiting(pool)
        with pytest.raises(PoolTooBusy) as caught:
            pool.getconn()
        assert caught.value.holders[0]["thread"] == "slow-view"
        assert "waiting=1" in str(caught.value)
        pool.closeall()
        waiter.error()

    def test_a_thread_that_waits_for_itself_is_told(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 2)
        held = [pool.getconn(), pool.getconn()]
        with pytest.raises(PoolTimeout, match=r"after 0\.00 s, and this very thread holds them all \("):
            pool.getconn(timeout=0)
        assert len(held) == 2

    def test_a_holder_that_has_ended_is_numbered(self, make_pool: MakePool) -> None:
        pool = make_pool(0, 1)
        kept = Running(pool.getconn).result()
        with pytest.raises(PoolTimeout, match=r"held by a thread that has ended \(\d+\) for"):
            pool.getconn(timeout=0)
        assert kept is not None

    @pytest.mark.parametrize("count", [0, 1, SHOWN, SHOWN + 1, 100])
    def test_the_line_stays_short_whoever_holds(self, count: int) -> None:
        place = " < ".join(f"/srv/app/view.py:{line} in view" for line in range(8))
        held = [
            {"thread": f"t{number}", "seconds": 1.0, "state": "idle", "taken_at": place, "now_at": place}
            for number in range(count)
        ]
        text = exhausted("no connection after 5.00 s", FIGURES, held, None)
        assert len(text) < 700
        assert text.count(" taken at ") == min(count, SHOWN)
        assert ("held by" in text) == bool(count)
        assert ("more" in text) == (count > SHOWN)

    def test_the_cause_of_an_outage_is_in_the_line(self) -> None:
        cause = psycopg2.OperationalError("connection refused\n\tIs the server running?\n")
        text = exhausted("no connection after 5.00 s", FIGURES, [], cause)
        assert "; connecting fails: connection refused Is the server running?; " in text


class TestReports:
    @pytest.fixture
    def pool(self, make_pool: MakePool, clock: Clock) -> Any:
        return make_pool(1, 2, clock=clock, leak_after=10.0, held_idle_after=5.0, max_lifetime=0, max_idle=0)

    def test_a_stall_is_reported_once_with_what_the_holder_does(
        self, pool: Any, clock: Clock, holder: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        holder(pool, STATES["idle in a transaction"])
        clock.now += 4.0
        pool.stats()
        assert not caplog.records
        clock.now += 2.0
        for _ in range(3):
            pool.stats()
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith("connection held for 6.0 s, idle in a transaction, while slow-view is at ")
        assert "in hold_it_here" in line

    def test_a_lease_whose_query_runs_is_no_stall(
        self, pool: Any, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        conn = pool.getconn()
        running = Running(query, conn, "SELECT pg_sleep(0.3)")
        until(lambda: conn.info.transaction_status == TRANSACTION_STATUS_ACTIVE, "the query is under way")
        clock.now += 6.0
        pool.stats()
        assert not caplog.records
        running.join()
        pool.stats()
        assert len(caplog.records) == 1

    def test_a_leak_is_reported_once_with_the_taker_and_once_more_when_it_comes_back(
        self, pool: Any, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        conn = pool.getconn()
        run(conn, "SELECT 1")
        clock.now += 11.0
        for _ in range(3):
            pool.stats()
        leaks = [record.getMessage() for record in caplog.records if "taken at" in record.getMessage()]
        assert len(leaks) == 1
        assert leaks[0].startswith(f"connection held for 11.0 s; taken at {__file__}:")
        caplog.clear()
        clock.now += 1.0
        pool.putconn(conn)
        assert [record.getMessage() for record in caplog.records] == [
            "connection given back after all, after 12.0 s"
        ]

    @pytest.mark.parametrize("use", [lambda conn: None, lambda conn: run(conn, "SELECT 1")])
    def test_each_lease_of_one_connection_is_reported_anew(
        self, pool: Any, clock: Clock, caplog: pytest.LogCaptureFixture, use: Callable[[Any], None]
    ) -> None:
        """Also one that sent nothing, and so needs no reset when it comes back."""
        for _ in range(2):
            conn = pool.getconn()
            use(conn)
            clock.now += 11.0
            pool.stats()
            pool.putconn(conn)
        heads = [record.getMessage().partition(",")[0].partition(";")[0] for record in caplog.records]
        held = "connection held for 11.0 s"
        assert heads == [held, held, "connection given back after all"] * 2

    def test_a_lease_that_came_back_in_time_says_nothing(
        self, pool: Any, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        conn = pool.getconn()
        clock.now += 4.0
        pool.putconn(conn)
        clock.now += 100.0
        pool.stats()
        assert not caplog.records

    def test_the_housekeeper_reports_without_being_asked(
        self, make_pool: MakePool, caplog: pytest.LogCaptureFixture
    ) -> None:
        pool = make_pool(1, 1, kind=ReturningPool, held_idle_after=0.2)
        conn = pool.getconn()
        until(lambda: caplog.records, "the stall was logged")
        assert "do what is slow before it is taken" in caplog.text
        conn.close()


class TestRecords:
    @pytest.fixture
    def leases(self) -> list[Record]:
        """Three leases: of 30, 20 and 10 seconds at 100."""
        made = [Record(None, 0.0, 0.0) for _ in range(3)]
        for record, since in zip(made, (70.0, 80.0, 90.0)):  # noqa: B905
            record.leased, record.since, record.thread = True, since, -1
        return made

    def test_only_those_held_for_longer_are_reported(
        self, leases: list[Record], caplog: pytest.LogCaptureFixture
    ) -> None:
        report_leaks(leases, 15.0, 100.0)
        report_stalls(leases, 15.0, 100.0)
        assert [record.leak_reported for record in leases] == [True, True, False]
        assert [record.stall_reported for record in leases] == [True, True, False]
        assert len(caplog.records) == 4

    def test_one_that_was_given_back_meanwhile_is_not(
        self, leases: list[Record], caplog: pytest.LogCaptureFixture
    ) -> None:
        leases[0].leased = False
        report_leaks(leases, 25.0, 100.0)
        report_stalls(leases, 25.0, 100.0)
        assert not caplog.records

    def test_they_are_described_in_their_order(self, leases: list[Record]) -> None:
        described = holders(leases, 100.0)
        assert [each["seconds"] for each in described] == [30.0, 20.0, 10.0]
        assert described[0] == {
            "thread": "a thread that has ended (-1)", "seconds": 30.0, "state": "closed", "taken_at": "",
            "now_at": "",
        }  # fmt: skip
