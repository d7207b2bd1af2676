"""The pool's lock: what comes up inside is done right after it, by the thread that was inside."""

from __future__ import annotations

import threading

import pytest

from backend.guard import Guard
from tests.support.threads import DEADLINE, Running, together


def test_one_thread_at_a_time_is_inside() -> None:
    guard, inside, most = Guard(), [], []

    def work(number: int) -> None:
        for _ in range(200):
            with guard:
                inside.append(number)
                most.append(len(inside))
                inside.pop()

    together(8, work)
    assert set(most) == {1}


def test_a_task_waits_for_the_release_and_runs_without_the_lock() -> None:
    guard, seen = Guard(), []

    def task() -> None:
        with guard:
            seen.append("ran")

    with guard:
        guard.later(task)
        assert seen == []
        assert guard.is_inside()
    assert seen == ["ran"]
    assert not guard.is_inside()


def test_outside_a_task_runs_at_once() -> None:
    guard, seen = Guard(), []
    guard.later(lambda: seen.append(1))
    assert seen == [1]


def test_tasks_run_in_order_and_may_add_more() -> None:
    guard, seen = Guard(), []

    def first() -> None:
        seen.append("first")
        with guard:
            guard.later(lambda: seen.append("third"))

    with guard:
        guard.later(first)
        guard.later(lambda: seen.append("second"))
    assert sorted(seen) == ["first", "second", "third"]
    assert seen[0] == "first"


def test_tasks_of_one_pool_wait_for_the_lock_of_another_that_the_thread_is_inside() -> None:
    """Two pools whose finalizers meet crosswise would wait for each other."""
    one, two, seen = Guard(), Guard(), []
    with one:
        two.later(lambda: seen.append(two.is_inside()))
        assert seen == []
    assert seen == [False]


def test_going_in_twice_is_an_error_and_leaves_the_lock_usable() -> None:
    one, two = Guard(), Guard()
    with one:
        for inner in (one, two):
            with pytest.raises(RuntimeError, match="inside it"), inner:
                raise AssertionError("unreachable")
    Running(_enter, one).join()


def test_an_error_inside_releases_it_and_runs_the_tasks() -> None:
    guard, seen = Guard(), []
    with pytest.raises(KeyError), guard:
        guard.later(lambda: seen.append(1))
        raise KeyError
    assert seen == [1]
    Running(_enter, guard).join()


def test_another_threads_tasks_are_its_own() -> None:
    guard, seen = Guard(), []
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with guard:
            guard.later(lambda: seen.append(threading.get_ident()))
            inside.set()
            assert go_on.wait(DEADLINE)

    holder = Running(hold)
    assert inside.wait(DEADLINE)
    assert not guard.is_inside()
    go_on.set()
    holder.join()
    assert seen and seen[0] != threading.get_ident()


def _enter(guard: Guard) -> None:
    with guard:
        pass
