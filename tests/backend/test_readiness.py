"""One check at a time, one answer for all, within a deadline: with checks that do what the test says."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend import health, readiness
from backend.readiness import NO_ANSWER, Readiness
from tests.support.children import FORKS, in_child
from tests.support.threads import Running, together, until


class Database:
    """Answers as a test says, and counts the questions."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.state = "ok"
        self.asked = 0
        self.hangs = threading.Event()  # set: it answers
        self.hangs.set()

    def __call__(self) -> str:
        self.asked += 1
        self.hangs.wait(20)
        return self.answers.pop(0) if self.answers else self.state


@pytest.fixture
def database() -> Iterator[Database]:
    """A database that answers "ok", let go of at the end."""
    fake = Database()
    yield fake
    fake.hangs.set()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times in which a test can wait."""
    monkeypatch.setattr(readiness, "DEADLINE", 0.3)
    monkeypatch.setattr(readiness, "KEEP_ANSWER", 0.0)
    monkeypatch.setattr(readiness, "AGAIN_AFTER", 0.0)


def of(*asked: Callable[[], str]) -> Readiness:
    return Readiness(lambda: list(asked))


def test_nothing_to_ask_is_ready() -> None:
    answer = of().ask()
    assert (answer.is_ready, answer.states) == (True, ())


def test_an_answer_is_kept_for_a_second(database: Database) -> None:
    asked = of(database)
    assert all(asked.ask().is_ready for _ in range(20))
    assert database.asked == 1


def test_a_single_failure_is_tried_again_and_not_told(database: Database, short: None) -> None:
    database.answers = ["unreachable", "ok"]
    assert of(database).ask().is_ready
    assert database.asked == 2


def test_two_failures_are_told_and_the_first_success_after_them(database: Database, short: None) -> None:
    database.answers = ["unreachable", "unreachable", "unreachable", "ok"]
    asked = of(database)
    assert [asked.ask().is_ready for _ in range(3)] == [False, False, True]
    assert database.asked == 4


def test_only_what_failed_is_tried_again(short: None) -> None:
    good, bad = Database(), Database()
    bad.state = "unreachable"
    answer = of(good, bad).ask()
    assert (answer.is_ready, answer.states) == (False, ("ok", "unreachable"))
    assert (good.asked, bad.asked) == (1, 2)


def test_a_check_that_hangs_is_told_at_the_deadline_and_recovers(database: Database, short: None) -> None:
    good = Database()
    asked = of(good, database)
    database.hangs.clear()
    start = time.monotonic()
    answer = asked.ask()
    assert 0.25 < time.monotonic() - start < 5
    assert (answer.is_ready, answer.states) == (False, ("ok", NO_ANSWER))
    database.hangs.set()
    until(lambda: asked.ask().is_ready, "ready again")


def test_while_a_check_hangs_nobody_waits_again_and_no_other_is_begun(database: Database, short: None) -> None:
    asked = of(database)
    database.hangs.clear()
    asked.ask()
    threads = threading.active_count()
    start = time.monotonic()
    assert not any(asked.ask().is_ready for _ in range(50))
    assert time.monotonic() - start < 5  # each on its own would take 15
    assert (database.asked, threading.active_count()) == (1, threads)


def test_two_hundred_that_ask_at_once_share_one_check(database: Database) -> None:
    database.hangs.clear()
    asked = of(database)
    releasing = Running(lambda: (until(lambda: database.asked, "asked"), time.sleep(0.1), database.hangs.set()))
    answers = together(200, lambda number: asked.ask())
    releasing.join()
    assert {answer.is_ready for answer in answers} == {True}
    assert database.asked == 1


def test_while_a_check_runs_the_last_answer_is_given_at_once(database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr(readiness, "KEEP_ANSWER", 0.2)
    asked = of(database)
    asked.ask()
    time.sleep(0.25)
    database.hangs.clear()
    running = Running(asked.ask)
    until(lambda: database.asked == 2, "the second check has begun")
    assert asked.ask().is_ready
    assert running.is_alive()
    database.hangs.set()
    assert running.result().is_ready


def test_an_old_answer_is_not_given_for_a_new_one(database: Database, short: None) -> None:
    """Nobody asked for a while: the answer from before then says nothing."""
    asked = of(database)
    asked.ask()
    time.sleep(0.4)
    database.hangs.clear()
    database.state = "unreachable"
    first = Running(asked.ask)
    until(lambda: database.asked == 2, "the second check has begun")
    assert not asked.ask().is_ready
    assert not first.result().is_ready


def test_a_check_that_breaks_is_no_answer_and_is_logged(short: None, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> str:
        raise RuntimeError("a bug")

    answer = of(broken).ask()
    assert (answer.is_ready, answer.states) == (False, (NO_ANSWER,))
    assert "the check of readiness failed" in caplog.text


def test_without_a_thread_to_be_had_it_is_not_ready_and_asks_again(
    database: Database, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    asked = of(database)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert asked.ask().states == (NO_ANSWER,)
    assert asked.ask().is_ready


@FORKS
def test_a_forked_child_asks_anew_while_its_parent_hangs_or_drains(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_of_this_process", of(database))
    monkeypatch.setattr(health, "_pool_states", lambda: [lambda: "ok"])
    database.hangs.clear()
    running = Running(health.ready)
    until(lambda: database.asked, "the check has begun")
    health.drain()
    child = in_child(lambda: (os.getpid(), health.is_draining(), health.ready()[0]))
    assert child[1:] == (False, True)
    database.hangs.set()
    running.join()
