"""Every decision of a pool: slots and permits are never lost, and nobody is overlooked."""

from __future__ import annotations

import gc
import random
import threading
from typing import Any

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import PoolClosed, PoolTooBusy
from backend.record import NEVER, Record
from backend.slots import PERMIT, Slots
from backend.waitqueue import Waiter
from tests.support.connects import Connects
from tests.support.sql import query
from tests.support.threads import DEADLINE, Running, together, until, waiting

from .conftest import MakePool


class Conn:
    """Stands in for a connection where none of its server is asked for."""

    def __init__(self) -> None:
        self._record = Record(None, 0.0, float("inf"))


@pytest.fixture
def slots() -> Slots:
    """For up to two connections."""
    return Slots(0, 2, lambda: 100.0)


def opened(slots: Slots) -> Conn:
    """Take a permit, and enter the connection that was opened on it."""
    assert slots.decide(0, 0) is PERMIT
    conn = Conn()
    slots.connected(conn)
    return conn


def lease(slots: Slots, conn: Conn) -> None:
    conn._record.leased = True
    slots.leased[conn._record] = threading.get_ident()


def give_back(slots: Slots, conn: Conn) -> None:
    slots.leased.pop(conn._record, None)
    conn._record.leased = False
    slots.idle.append(conn)
    if slots.attention:
        for _ in slots.settle():
            slots.gone("above maxconn")


class TestDecide:
    def test_idle_first_then_a_permit_then_the_queue(self, slots: Slots) -> None:
        one = opened(slots)
        slots.idle.append(one)
        assert slots.decide(0, 0) is one
        assert slots.decide(0, 0) is PERMIT
        assert isinstance(slots.decide(0, 0), Waiter)
        assert slots.size == 2

    def test_the_one_used_last_comes_first(self, slots: Slots) -> None:
        one, two = opened(slots), opened(slots)
        slots.idle.extend((one, two))
        assert slots.decide(0, 0) is two

    def test_nobody_overtakes_those_who_wait(self, slots: Slots) -> None:
        one, two = opened(slots), opened(slots)
        first = slots.decide(0, 0)
        slots.suspend()
        slots.idle.append(one)
        second = slots.decide(0, 0)
        slots.resume()
        slots.settle()
        assert (first.result, second.result) == (one, None)
        give_back(slots, two)
        assert second.result is two

    def test_what_came_back_while_a_caller_queued_is_his(self, slots: Slots) -> None:
        """Who waits raises `attention` first and looks at `idle` again: a return in between is not missed."""
        one, _two = opened(slots), opened(slots)
        pop = slots._pop

        def returned_right_after_the_first_look() -> Any:
            got = pop()
            if got is None and not slots.attention:
                slots.idle.append(one)
            return got

        slots._pop = returned_right_after_the_first_look  # type: ignore[method-assign]
        waiter = slots.decide(0, 0)
        assert waiter.result is one

    def test_too_many_waiters_are_refused_and_counted(self, slots: Slots) -> None:
        kept = [opened(slots), opened(slots)]
        for _ in range(3):
            slots.decide(0, 3)
        with pytest.raises(PoolTooBusy):
            slots.decide(0, 3)
        assert (slots.counts["refused"], len(slots.queue), len(kept)) == (1, 3, 2)

    def test_overflow_is_for_those_who_hold_one(self, slots: Slots) -> None:
        kept = [opened(slots), opened(slots)]
        assert isinstance(slots.decide(1, 0), Waiter)
        lease(slots, kept[0])
        assert slots.decide(1, 0) is PERMIT
        assert isinstance(slots.decide(1, 0), Waiter)
        assert (slots.size, slots.counts["nested"]) == (3, 1)


class TestAttention:
    def test_it_is_down_while_nobody_waits_and_nothing_is_wrong(self, slots: Slots) -> None:
        conn = opened(slots)
        assert not slots.attention
        give_back(slots, conn)
        assert not slots.attention

    def test_it_is_up_while_somebody_waits(self, slots: Slots) -> None:
        one, two = opened(slots), opened(slots)
        waiters = [slots.decide(0, 0), slots.decide(0, 0)]
        assert slots.attention
        give_back(slots, one)
        assert slots.attention
        give_back(slots, two)
        assert not slots.attention
        assert [waiter.result for waiter in waiters] == [one, two]

    def test_it_is_up_while_suspended_and_until_all_are_served(self, slots: Slots) -> None:
        conn = opened(slots)
        slots.suspend()
        assert slots.attention
        waiter = slots.decide(0, 0)
        give_back(slots, conn)
        assert waiter.result is None
        slots.resume()
        slots.settle()
        assert waiter.result is conn
        assert not slots.attention

    def test_it_stays_up_when_closed(self, slots: Slots) -> None:
        conn = opened(slots)
        slots.idle.append(conn)
        assert slots.close() == [conn]
        slots.gone("pool closed")
        assert slots.attention
        assert slots.size == 0

    def test_it_is_up_while_there_are_more_than_maxconn(self, slots: Slots) -> None:
        one, two = opened(slots), opened(slots)
        slots.maxconn = 1
        assert slots.settle() == []
        assert slots.attention
        slots.idle.append(one)
        assert slots.settle() == [one]
        slots.gone("above maxconn")
        assert not slots.attention
        assert list(slots.records) == [two._record]


class TestPermits:
    def test_one_that_was_not_used_goes_to_the_next(self, slots: Slots) -> None:
        assert slots.decide(0, 0) is slots.decide(0, 0) is PERMIT
        waiter = slots.decide(0, 0)
        slots.withdraw_permit()
        assert waiter.result is PERMIT
        assert slots.connecting == 2

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), KeyError("in configure")])
    def test_one_whose_connect_was_interrupted_goes_to_the_next_and_is_no_outage(
        self, slots: Slots, error: BaseException
    ) -> None:
        slots.maxconn = 1
        assert slots.decide(0, 0) is PERMIT
        waiter = slots.decide(0, 0)
        assert slots.connect_failed(error, 100.0) is None
        assert waiter.result is PERMIT
        assert slots.outage.failures == 0

    def test_in_an_outage_one_is_out_at_a_time(self, slots: Slots) -> None:
        slots.maxconn = 10
        assert slots.decide(0, 0) is PERMIT
        slots.connect_failed(psycopg2.OperationalError("refused"), 99.0)
        assert slots.decide(0, 0) is PERMIT
        waiters = [slots.decide(0, 0) for _ in range(3)]
        assert [waiter.result for waiter in waiters] == [None] * 3
        slots.connected(Conn())
        assert [waiter.result for waiter in waiters] == [PERMIT] * 3

    def test_an_outage_that_goes_on_is_told_to_all_who_wait(self, slots: Slots) -> None:
        slots.maxconn = 10
        for _ in range(2):
            assert slots.decide(0, 0) is PERMIT
            waiters = [slots.decide(0, 0) for _ in range(3)] if slots.outage.failures else []
            slots.connect_failed(psycopg2.OperationalError("refused"), 100.0)
        assert [str(waiter.result) for waiter in waiters] == ["refused"] * 3
        assert len({id(waiter.result) for waiter in waiters}) == 3  # each gets an error of its own
        assert slots.size == 0

    def test_a_swap_keeps_the_slot(self, slots: Slots) -> None:
        slots.maxconn = 1
        conn = opened(slots)
        slots.leave(conn._record)
        slots.exchanged("broken")
        assert (slots.size, slots.connecting, slots.counts["closed"]) == (1, 1, 1)
        assert isinstance(slots.decide(0, 0), Waiter)

    def test_to_leave_twice_counts_once(self, slots: Slots) -> None:
        conn = opened(slots)
        slots.leave(conn._record)
        slots.leave(conn._record)
        assert slots.closing == 1
        slots.gone("broken")
        assert slots.size == 0

    def test_filling_up_stops_at_minconn(self) -> None:
        slots = Slots(2, 5, lambda: 0.0)
        assert [slots.reserve(presses=False) for _ in range(3)] == [True, True, False]


class TestEnds:
    def test_closing_tells_all_who_wait_and_refuses_the_rest(self, slots: Slots) -> None:
        kept = [opened(slots), opened(slots)]
        waiters = [slots.decide(0, 0) for _ in range(3)]
        assert slots.close() == []
        for waiter in waiters:
            assert isinstance(waiter.result, PoolClosed)
        for call in (lambda: slots.decide(0, 0), slots.close):
            with pytest.raises(PoolClosed):
                call()
        slots.idle.append(kept[0])
        assert slots.settle() == [kept[0]]

    def test_what_was_dropped_frees_its_slot_for_the_first_who_waits(self, slots: Slots) -> None:
        one, two = opened(slots), opened(slots)
        lease(slots, one)
        lease(slots, two)
        waiter = slots.decide(0, 0)
        del one
        gc.collect()
        assert waiter.result is PERMIT
        assert slots.counts["dropped"] == 1
        assert list(slots.leased) == [two._record]

    def test_all_are_retired_also_those_in_use(self, slots: Slots) -> None:
        one, two = opened(slots), opened(slots)
        lease(slots, one)
        slots.idle.append(two)
        assert slots.retire_all() == [two]
        assert one._record.expires == NEVER
        assert slots.closing == 1

    def test_suspected_ones_are_asked_before_they_are_trusted(self, slots: Slots) -> None:
        one = opened(slots)
        one._record.fit_until = 1000.0
        slots.idle.append(one)
        slots.suspect_idle()
        assert one._record.fit_until == NEVER

    def test_who_holds_all_waits_for_himself(self, slots: Slots) -> None:
        me = threading.get_ident()
        assert not slots.is_held_by_one(me)
        one, two = opened(slots), opened(slots)
        lease(slots, one)
        lease(slots, two)
        assert slots.is_held_by_one(me)
        assert slots.holds(me)
        slots.leased[two._record] = -1
        assert not slots.is_held_by_one(me)

    def test_leases_are_listed_the_oldest_first(self, slots: Slots) -> None:
        kept = [opened(slots), opened(slots)]
        for conn, since in ((kept[0], 5.0), (kept[1], 3.0)):
            conn._record.since = since
            lease(slots, conn)
        assert slots.leases() == [kept[1]._record, kept[0]._record]


STEPS = ("take", "give", "drop", "close", "interrupt", "withdraw", "resize", "suspend", "resume")


@given(st.lists(st.sampled_from(STEPS), max_size=60), st.randoms(use_true_random=False))
def test_whatever_happens_every_slot_is_accounted_for(steps: list[str], chance: random.Random) -> None:
    """Connections, permits and waiters add up after any sequence; at the end all can be had again."""
    slots = Slots(0, 3, lambda: 0.0)
    held: list[Conn] = []
    permits, waiters = 0, []
    for step in steps:
        if step == "take":
            got = slots.decide(0, 0)
            waiters.append(got) if isinstance(got, Waiter) else None
            permits += got is PERMIT
            if isinstance(got, Conn):
                lease(slots, got)
                held.append(got)
        elif step == "give" and held:
            give_back(slots, held.pop(chance.randrange(len(held))))
        elif step == "drop" and held:
            held.pop(chance.randrange(len(held)))
        elif step == "close" and held:
            conn = held.pop()
            slots.leased.pop(conn._record)
            slots.leave(conn._record)
            slots.gone("broken")
        elif step == "interrupt" and permits:
            permits -= 1
            slots.connect_failed(KeyboardInterrupt(), 0.0)
        elif step == "withdraw" and permits:
            permits -= 1
            conn = Conn()
            lease(slots, conn)
            slots.connected(conn)
            held.append(conn)
        elif step == "resize":
            slots.maxconn = chance.randint(1, 4)
            for _ in slots.settle():
                slots.gone("above maxconn")
        elif step == "suspend":
            slots.suspend()
        elif step == "resume":
            slots.resume()
            slots.settle()
        conn = got = None  # names that would keep a dropped one alive
        for waiter in [each for each in waiters if each.result is not None]:
            waiters.remove(waiter)
            permits += waiter.result is PERMIT
            if isinstance(waiter.result, Conn):
                lease(slots, waiter.result)
                held.append(waiter.result)
                waiter.result = None
        assert len(slots.queue) == len(waiters)
        assert slots.connecting == permits
        assert slots.closing == 0
        slots.settle()
        assert slots.size == permits + len(held) + len(slots.idle)
        assert slots.attention or not waiters
        assert not waiters or slots.suspended or slots.size >= slots.maxconn


class TestUnderLoad:
    def test_no_permit_is_lost_when_connects_fail_at_random(self, make_pool: MakePool, connects: Connects) -> None:
        """HikariCP and psycopg_pool both had slots that leaked when connecting failed; found minutes later."""
        pool = make_pool(0, 4, timeout=DEADLINE)
        chance = random.Random(7)
        connects.failures = [
            psycopg2.OperationalError("refused") if chance.random() < 0.3 else None for _ in range(500)
        ]

        def work(number: int) -> int:
            done = 0
            for turn in range(15):
                try:
                    conn = pool.getconn()
                except psycopg2.OperationalError:
                    continue
                done += query(conn, "SELECT 1")
                pool.putconn(conn, close=(number + turn) % 2 == 0)
            return done

        assert sum(together(12, work, timeout=60.0)) > 0
        connects.failures = []
        stats = pool.stats()
        assert (stats["used"], stats["connecting"], stats["waiting"]) == (0, 0, 0)
        until(lambda: pool._slots.closing == 0, "all are closed")
        held = [pool.getconn(timeout=DEADLINE) for _ in range(4)]
        assert pool.stats()["size"] == len(held) == 4

    def test_a_permit_handed_to_a_caller_that_gave_up_is_passed_on(
        self, make_pool: MakePool, connects: Connects
    ) -> None:
        """The slot of a caller that was interrupted while it connected serves the one behind it."""
        pool = make_pool(0, 1, timeout=DEADLINE)
        connects.held = threading.Event()
        connects.failures = [KeyboardInterrupt()]
        interrupted = Running(pool.getconn)
        assert connects.entered.wait(DEADLINE)
        behind = Running(pool.getconn)
        waiting(pool)
        connects.held.set()
        assert isinstance(interrupted.error(), KeyboardInterrupt)
        assert query(behind.result(), "SELECT 1") == 1
        assert pool.stats()["outage"] == 0.0
