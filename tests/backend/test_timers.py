"""timeit and timer: put around anything, it behaves as before, and its time is in the table."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from backend import timeit, timer, timers, timings
from backend.timings import Timings
from tests.support.threads import together


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> Timings:
    """A table of this test's own."""
    fresh = Timings()
    monkeypatch.setattr(timers, "table", fresh)
    return fresh


def rows(table: Timings) -> dict[str, int]:
    return {row["name"].rpartition("<locals>.")[2]: row["count"] for row in table.snapshot()}


@pytest.mark.parametrize("decorate", [timeit, timeit(), timer, timer()], ids=["timeit", "()", "timer", "timer()"])
def test_a_decorated_function_is_timed_under_its_name(decorate: Any, table: Timings) -> None:
    @decorate
    def profile(number: int, *, more: int = 0) -> int:
        """Return a sum."""
        return number + more

    assert (profile(1, more=2), profile.__name__, profile.__doc__) == (3, "profile", "Return a sum.")
    assert list(inspect.signature(profile).parameters) == ["number", "more"]
    (row,) = table.snapshot()
    assert row["name"].startswith(f"{__name__}.") and row["name"].endswith("profile")


@pytest.mark.parametrize("decorate", [timeit("p"), timer("p")], ids=["timeit", "timer"])
def test_a_name_of_one_s_own(decorate: Any, table: Timings) -> None:
    decorate(lambda: None)()
    assert rows(table) == {"p": 1}


def test_a_function_that_raises_is_timed_and_raises(table: Timings) -> None:
    @timeit
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert rows(table) == {"fail": 1}


def test_methods_of_all_kinds_are_timed(table: Timings) -> None:
    class Shop:
        @timeit
        def one(self) -> str:
            return type(self).__name__

        @timeit
        @classmethod
        def two(cls) -> str:
            return cls.__name__

        @timeit
        @staticmethod
        def three() -> str:
            return "Shop"

        @property
        @timeit
        def four(self) -> str:
            return "Shop"

    shop = Shop()
    assert shop.one() == Shop.two() == shop.two() == Shop.three() == shop.four == "Shop"
    assert rows(table) == {"Shop.one": 1, "Shop.two": 2, "Shop.three": 1, "Shop.four": 1}


def test_a_flask_view_keeps_its_endpoint(table: Timings) -> None:
    app = Flask(__name__)

    @app.get("/a")
    @timeit
    def a() -> str:
        return "a"

    @app.get("/b")
    @timeit
    def b() -> str:
        return "b"

    assert app.test_client().get("/b").data == b"b"
    assert rows(table) == {"b": 1}


def test_a_block_is_timed_and_knows_its_seconds(table: Timings) -> None:
    with timer("load") as span:
        time.sleep(0.02)
        so_far = span.seconds
    assert 0.02 <= so_far <= span.seconds
    later = span.seconds
    time.sleep(0.005)
    assert span.seconds == later == table.snapshot()[0]["last"]


def test_a_timer_is_kept_and_used_again(table: Timings) -> None:
    load = timer("load")
    assert load.seconds == 0.0
    for _ in range(3):
        with load:
            time.sleep(0.001)
    assert load.seconds >= 0.001
    assert rows(table) == {"load": 3}


def test_blocks_nest_also_within_themselves(table: Timings) -> None:
    load = timer("load")
    with load as outer, timer("inner"), load as inner:
        time.sleep(0.002)
    assert outer.seconds > inner.seconds >= 0.002
    assert load.seconds == outer.seconds
    assert rows(table) == {"load": 2, "inner": 1}


def test_a_block_without_a_name_is_named_by_its_line(table: Timings) -> None:
    line = inspect.currentframe().f_lineno  # type: ignore[union-attr]
    with timer, timeit(), timer():
        pass
    assert list(rows(table)) == [f"{__name__}.test_a_block_without_a_name_is_named_by_its_line:{line + 1}"]
    assert sum(rows(table).values()) == 3


def test_one_timer_in_many_threads_keeps_them_apart(table: Timings) -> None:
    shared = timer("shared")

    def work(number: int) -> float:
        with shared as span:
            time.sleep(0.02 if number % 2 else 0.0)
        return float(span.seconds)

    seconds = together(8, work)
    assert all(took >= 0.02 for took in seconds[1::2])
    assert rows(table) == {"shared": 8}
    assert not shared._open


def test_a_block_that_ends_in_another_thread_is_no_error(table: Timings) -> None:
    """A streamed body may be taken up by another thread than began it."""

    def body() -> Iterator[int]:
        with timer("body"):
            yield 1

    steps = body()
    next(steps)
    ending = threading.Thread(target=lambda: list(steps))
    ending.start()
    ending.join()
    assert rows(table) == {"body": 1}


def test_an_exit_without_an_entry_does_nothing(table: Timings) -> None:
    timer("x").__exit__(None, None, None)
    assert rows(table) == {}


def test_a_generator_is_timed_while_it_runs_and_not_while_its_consumer_does(table: Timings) -> None:
    @timeit
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    assert inspect.isgeneratorfunction(numbers)
    for _ in numbers():
        time.sleep(0.05)
    (row,) = table.snapshot()
    assert row["count"] == 1
    assert row["last"] < 0.1


def test_a_generator_s_send_throw_and_return_reach_it(table: Timings) -> None:
    @timeit
    def talk() -> Any:
        said = []
        while True:
            try:
                got = yield len(said)
            except KeyError:
                return said
            said.append(got)

    steps = talk()
    assert [next(steps), steps.send("a"), steps.send("b")] == [0, 1, 2]
    with pytest.raises(StopIteration) as ended:
        steps.throw(KeyError("enough"))
    assert ended.value.value == ["a", "b"]
    assert rows(table) == {"talk": 1}


def test_a_generator_that_is_closed_or_dropped_early_is_noted_once(table: Timings) -> None:
    closed = []

    @timeit
    def numbers() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    steps = numbers()
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    next(numbers())
    gc.collect()
    numbers()  # never begun: never timed
    assert (closed, rows(table)) == ([True, True], {"numbers": 2})


def test_a_coroutine_is_timed_to_its_end(table: Timings) -> None:
    @timeit
    async def wait() -> int:
        await asyncio.sleep(0.02)
        return 7

    async def both() -> list[int]:
        return list(await asyncio.gather(wait(), wait()))

    assert inspect.iscoroutinefunction(wait)
    assert asyncio.run(both()) == [7, 7]
    (row,) = table.snapshot()
    assert row["count"] == 2 and row["max"] >= 0.02


async def _stream() -> Any:
    yield 1


@pytest.mark.parametrize("what", [int, 7, b"x", _stream, property(abs)], ids=lambda what: type(what).__name__)
def test_what_cannot_be_timed_is_refused_at_once(what: Any) -> None:
    with pytest.raises(TypeError, match="cannot be timed; put this on a function"):
        timeit(what)


def test_what_takes_long_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @timeit("quick", log_above=60.0)
    def quick() -> None: ...

    @timeit(log_above=0.0)
    def slow() -> None: ...

    quick()
    slow()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "slow took 0.0" in record.message


def test_every_span_is_logged_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="backend.timers"), timer("load"):
        pass
    assert caplog.records[0].message.startswith("load took 0.0")


def test_the_names_of_the_package_fill_the_table_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with timer("test of the process's table"):
        pass
    assert "test of the process's table" in [row["name"] for row in timings()]
