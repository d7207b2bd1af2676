"""The ladder of timeouts: each below the next, and a problem names both keys, their numbers and the change."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import ladder
from deploy.description import Description, Timeouts
from deploy.plan import PlanError, plan

from .descriptions import described

NAMES = ("connect", "lock", "query_wait", "statement", "worker", "proxy", "client")


def test_the_defaults_are_a_ladder_with_and_without_a_queue() -> None:
    with_queue, without = described(), described(pgbouncer={"enabled": False})
    assert ladder.problems(with_queue) == ladder.problems(without) == []
    assert [rung.name.removeprefix("timeouts.") for rung in ladder.rungs(with_queue)] == [
        "connect", "lock", "query_wait", "statement", "graceful", "worker", "proxy", "client",
    ]  # fmt: skip
    assert "timeouts.query_wait" not in [rung.name for rung in ladder.rungs(without)]
    assert all(rung.reason for rung in ladder.rungs(with_queue))


@pytest.mark.parametrize(
    ("timeouts", "problem"),
    [
        ({"lock": 5},
         "timeouts.lock = 5 s is not below timeouts.query_wait = 5 s: "
         "raise timeouts.query_wait to 6 or lower timeouts.lock to 4"),
        ({"connect": 4},
         "timeouts.connect = 4 s is not below timeouts.lock = 4 s: "
         "raise timeouts.lock to 5 or lower timeouts.connect to 3"),
        ({"connect": 1, "lock": 1},
         "timeouts.connect = 1 s is not below timeouts.lock = 1 s: raise timeouts.lock to 2"),
        ({"statement": 27},
         "timeouts.statement = 27 s is not below graceful = 25 s (timeouts.worker - 5): "
         "raise timeouts.worker to 33 or lower timeouts.statement to 24"),
        ({"worker": 40},
         "timeouts.worker = 40 s is not below timeouts.proxy = 35 s: "
         "raise timeouts.proxy to 41 or lower timeouts.worker to 34"),
    ],
)  # fmt: skip
def test_a_rung_that_is_not_below_the_next_names_both_and_the_change(
    timeouts: dict[str, int], problem: str
) -> None:
    description = described(timeouts=timeouts)
    assert ladder.problems(description) == [problem]
    with pytest.raises(PlanError, match=re.escape(problem)):
        plan(description)


def test_a_queue_that_is_not_there_cannot_be_wrong() -> None:
    assert ladder.problems(described(timeouts={"query_wait": 500}, pgbouncer={"enabled": False})) == []


@given(st.fixed_dictionaries({name: st.integers(1, 90) for name in NAMES}), st.booleans())
@settings(deadline=None)
def test_each_change_that_is_named_mends_its_rung(values: dict[str, int], enabled: bool) -> None:
    description = described(timeouts=values, pgbouncer={"enabled": enabled})
    for problem in ladder.problems(description):
        pair = problem.partition(":")[0]
        for name, value in re.findall(r"(?:raise|lower) timeouts\.(\w+) to (\d+)", problem):
            changed = replace(description, timeouts=replace(description.timeouts, **{name: int(value)}))
            left = [line.partition(":")[0] for line in ladder.problems(changed)]
            assert _without_numbers(pair) not in [_without_numbers(line) for line in left], (problem, name, value)
            assert int(value) >= 1


def _without_numbers(line: str) -> str:
    return re.sub(r"= -?\d+ s", "", line)


@given(st.fixed_dictionaries({name: st.integers(1, 90) for name in NAMES}), st.booleans())
@settings(deadline=None)
def test_no_problem_means_that_every_wait_ends_before_the_one_around_it(
    values: dict[str, int], enabled: bool
) -> None:
    _check(described(timeouts=values, pgbouncer={"enabled": enabled}))


@given(st.lists(st.integers(1, 12), min_size=7, max_size=7), st.booleans())
@settings(deadline=None)
def test_the_same_for_ladders_that_rise(steps: list[int], enabled: bool) -> None:
    values = {name: sum(steps[: number + 1]) for number, name in enumerate(NAMES)}
    _check(described(timeouts=values, pgbouncer={"enabled": enabled}))


def _check(description: Description) -> None:
    if ladder.problems(description):
        return
    timeouts: Timeouts = description.timeouts
    seconds = [rung.seconds for rung in ladder.rungs(description)]
    assert all(lower < upper for lower, upper in pairwise(seconds))
    inside = timeouts.query_wait if description.pgbouncer.enabled else timeouts.lock
    assert inside < ladder.pool_timeout(description) <= timeouts.statement
    assert 0 < ladder.graceful(timeouts) < ladder.stop(timeouts)
