"""Waits that double to a cap, at random below it; and one attempt at a time while connecting fails."""

from __future__ import annotations

import threading
from typing import Any

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import outage
from backend.errors import PoolTimeout
from backend.outage import FIRST_WAIT, LONGEST_WAIT, Outage, copied
from tests.support.connects import Connects
from tests.support.sql import query
from tests.support.threads import DEADLINE, Running, until, waiting

from .conftest import MakePool

REFUSED = psycopg2.OperationalError("connection refused")


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """The ranges that waits were drawn from; each draw is the longest possible."""
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    monkeypatch.setattr(outage.random, "uniform", uniform)
    return asked


def test_waits_double_from_a_tenth_to_five_seconds_and_are_drawn_from_zero(
    always: list[tuple[float, float]],
) -> None:
    broken, now = Outage(), 100.0
    for _ in range(9):
        broken.failed(REFUSED, now, now)
        assert broken.next_try == now + always[-1][1]
        now = broken.next_try
    assert {low for low, _ in always} == {0.0}
    assert [high for _, high in always] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


@given(failures=st.integers(1, 3000), now=st.floats(0, 1e9))
def test_the_next_try_is_never_further_away_than_the_cap(failures: int, now: float) -> None:
    broken = Outage()
    for _ in range(min(failures, 40)):
        broken.failed(REFUSED, now, now)
    broken.failures = failures  # an outage of days does not overflow
    broken.failed(REFUSED, now, now)
    assert now <= broken.next_try <= now + LONGEST_WAIT
    assert FIRST_WAIT < LONGEST_WAIT


def test_hosts_of_a_fleet_do_not_come_back_in_step() -> None:
    """Full jitter: forty hosts that failed at the same moment come back spread over the whole wait."""
    hosts = [Outage() for _ in range(40)]
    for host in hosts:
        for _ in range(10):
            host.failed(REFUSED, 0.0, 0.0)
    tries = sorted(host.next_try for host in hosts)
    assert tries[0] < 1.5
    assert tries[-1] > 3.5
    assert len(set(tries)) == 40


def test_a_success_ends_it_and_the_next_one_starts_from_the_beginning(always: list[Any]) -> None:
    broken = Outage()
    for now in (10.0, 11.0, 12.0):
        broken.failed(REFUSED, now, now)
    assert (broken.failures, broken.since) == (3, 10.0)
    broken.ended()
    assert (broken.failures, broken.cause) == (0, None)
    broken.failed(REFUSED, 50.0, 50.0)
    assert (broken.failures, broken.since, broken.next_try) == (1, 50.0, 50.1)


def test_one_failure_may_be_an_accident_and_speaks_for_nobody_else(always: list[Any]) -> None:
    broken = Outage()
    assert not broken.failed(REFUSED, 10.0, 10.0)
    assert broken.failed(REFUSED, 11.0, 11.0)


def test_the_cause_keeps_no_traceback_and_so_no_lease_alive() -> None:
    broken = Outage()
    try:
        raise REFUSED
    except psycopg2.Error as error:
        broken.failed(error, 0.0, 0.0)
    assert type(broken.cause) is psycopg2.OperationalError
    assert str(broken.cause) == "connection refused"
    assert broken.cause is not REFUSED
    assert broken.cause.__traceback__ is None
    assert str(copied(PoolTimeout("late", {"used": 1}))) == "late"


def test_a_report_is_due_once_per_interval_of_an_outage() -> None:
    broken = Outage()
    assert not broken.is_due_for_report(60.0, 1000.0)
    broken.failed(REFUSED, 1000.0, 1000.0)
    due = [now for now in range(1000, 1200, 10) if broken.is_due_for_report(60.0, float(now))]
    assert due == [1060, 1120, 1180]
    assert not broken.is_due_for_report(0.0, 9999.0)


class TestInAPool:
    def test_one_attempt_at_a_time_is_made_however_many_callers_come(
        self, make_pool: MakePool, connects: Connects
    ) -> None:
        """Fifty callers of a server that is starting up must not knock fifty at a time."""
        pool = make_pool(0, 20, timeout=DEADLINE, reconnect_timeout=0)
        connects.failures = [psycopg2.OperationalError("starting up")]
        with pytest.raises(psycopg2.OperationalError, match="starting up"):
            pool.getconn()
        connects.held, connects.count = threading.Event(), 0
        callers = [Running(_lease, pool) for _ in range(20)]
        waiting(pool, 19)
        assert connects.count == 1
        assert pool.stats()["connecting"] == 1
        connects.held.set()
        assert {caller.result() for caller in callers} == {1}
        assert pool.stats()["outage"] == 0.0

    def test_the_first_failure_reaches_the_caller_at_once_with_its_cause(
        self, make_pool: MakePool, connects: Connects
    ) -> None:
        pool = make_pool(0, 2)
        connects.failures = [psycopg2.OperationalError("no such host")]
        with pytest.raises(psycopg2.OperationalError, match="no such host"):
            pool.getconn(timeout=30.0)
        stats = pool.stats()
        assert (stats["size"], stats["connect_failures"], stats["connecting"]) == (0, 1, 0)

    def test_when_it_keeps_failing_the_app_is_told_and_told_again(
        self, make_pool: MakePool, connects: Connects, caplog: pytest.LogCaptureFixture
    ) -> None:
        told: list[Any] = []
        now = [1000.0]
        pool = make_pool(
            0, 2, reconnect_timeout=60.0, on_reconnect_failed=told.append, clock=lambda: now[0], connect_timeout=1
        )
        connects.failures = [psycopg2.OperationalError("refused") for _ in range(50)]
        for _ in range(14):
            with pytest.raises(psycopg2.OperationalError):
                pool.getconn()
            pool.stats()
            now[0] += 10.0
        assert told == [pool, pool]
        lines = [record.getMessage() for record in caplog.records if "has failed for" in record.getMessage()]
        assert len(lines) == 2
        assert lines[0].startswith("connecting has failed for 60 s, 7 times: refused")

    def test_its_end_is_logged_with_its_length(
        self, make_pool: MakePool, connects: Connects, caplog: pytest.LogCaptureFixture
    ) -> None:
        now = [1000.0]
        pool = make_pool(0, 1, clock=lambda: now[0])
        connects.failures = [psycopg2.OperationalError("refused")]
        with pytest.raises(psycopg2.OperationalError):
            pool.getconn()
        now[0] += 34.0
        assert query(pool.getconn(), "SELECT 1") == 1
        until(lambda: "connected again, after 34.0 s of failing" in caplog.text, "its end was logged")


def _lease(pool: Any) -> int:
    with pool.connection() as conn:
        return int(query(conn, "SELECT 1"))
