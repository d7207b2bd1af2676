"""How long a move still takes."""

from __future__ import annotations

import pytest

from scripts.progress import Progress
from scripts.sqlite_to_postgres.pace import Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_time_left_follows_the_pace_so_far(clock: Clock) -> None:
    pace = Pace(Progress(), 1000, 3, clock)
    clock.now = 10.0
    assert pace.left(500) == ", about 50 s left"
    clock.now = 100.0
    assert pace.left(500) == ", about 8 min left"
    assert pace.left(3000) == ", about 0 s left"


def test_nothing_is_guessed_in_the_first_seconds_and_of_nothing(clock: Clock) -> None:
    pace = Pace(Progress(), 1000, 3, clock)
    clock.now = 2.0
    assert pace.left(500) == ""
    clock.now = 20.0
    assert pace.left(0) == ""


def test_rows_of_an_earlier_run_say_nothing_of_the_pace(clock: Clock) -> None:
    pace = Pace(Progress(), 1000, 3, clock)
    pace.skipped(2000)
    clock.now = 10.0
    assert pace.left(2500) == ", about 10 s left"
    assert pace.left(2000) == ""


class Bars(Progress):
    """Keeps what is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[float, float, str]] = []

    def bar(self, done: float, total: float, text: str) -> None:
        self.shown.append((done, total, text))


def test_each_pass_counts(clock: Clock) -> None:
    bars = Bars()
    pace = Pace(bars, 100, 2, clock)
    pace.step("copy users")(0)
    pace.passed(100)
    clock.now = 10.0
    pace.step("check users")(50)
    assert bars.shown == [
        (0, 200, "copy users (0 rows)"), (150, 200, "check users (50 rows), about 3 s left"),
    ]  # fmt: skip
