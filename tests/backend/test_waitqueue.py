"""First come, first served; and giving up at the instant of being served is one decision."""

from __future__ import annotations

import time

import pytest

from backend.waitqueue import WaitQueue
from tests.support.threads import Running


def test_results_go_to_the_waiters_in_the_order_they_came() -> None:
    queue = WaitQueue()
    waiters = [queue.join() for _ in range(3)]
    for result in "abc":
        assert queue.serve(result)
    assert [queue.leave(waiter) for waiter in waiters] == ["a", "b", "c"]
    assert not queue.serve("d")


def test_who_gave_up_is_passed_over() -> None:
    queue = WaitQueue()
    first, second = queue.join(), queue.join()
    assert queue.leave(first) is None
    assert len(queue) == 1
    queue.serve("a")
    assert queue.leave(second) == "a"


def test_who_was_served_before_he_gave_up_has_the_result() -> None:
    queue = WaitQueue()
    waiter = queue.join()
    queue.serve("a")
    assert queue.leave(waiter) == queue.leave(waiter) == "a"


def test_leaving_twice_is_leaving_once() -> None:
    queue = WaitQueue()
    waiter, other = queue.join(), queue.join()
    assert (queue.leave(waiter), queue.leave(waiter)) == (None, None)
    assert len(queue) == 1
    queue.serve("a")
    assert other.result == "a"


def test_a_sleeper_is_woken_by_its_result() -> None:
    queue = WaitQueue()
    waiter = queue.join()
    sleeper = Running(waiter.sleep, 60.0)
    queue.serve("a")
    sleeper.join()


def test_a_result_that_came_before_the_sleep_is_not_missed() -> None:
    queue = WaitQueue()
    waiter = queue.join()
    queue.serve("a")
    Running(waiter.sleep, 60.0).join()


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.01, float("nan")])
def test_a_sleep_ends_by_itself(seconds: float) -> None:
    start = time.monotonic()
    WaitQueue().join().sleep(seconds)
    assert time.monotonic() - start < 5


def test_a_sleep_may_be_longer_than_a_lock_can_wait() -> None:
    queue = WaitQueue()
    waiter = queue.join()
    sleeper = Running(waiter.sleep, float("inf"))
    queue.serve("a")
    sleeper.join()
