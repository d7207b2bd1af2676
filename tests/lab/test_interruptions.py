"""Moments are drawn so that a run can be had again, and that no phase and no way of ending is left out."""

from __future__ import annotations

import random

from deploy.host.operation import PHASES

from . import interruptions


def test_the_same_seed_draws_the_same_moments() -> None:
    first, second = ([interruptions.draw(dice, 10.0) for _ in range(50)] for dice in map(random.Random, (7, 7)))
    assert first == second


def test_every_phase_and_both_ways_of_ending_come_up() -> None:
    dice = random.Random(1)
    drawn = [interruptions.draw(dice, 10.0) for _ in range(300)]
    assert {moment.phase for moment in drawn} == {"", *PHASES}
    assert {moment.how for moment in drawn} == set(interruptions.HOW)
    assert all(0 <= moment.delay <= (interruptions.LONGEST_DELAY if moment.phase else 10.0) for moment in drawn)


def test_a_phase_counts_as_reached_when_the_operation_is_past_it() -> None:
    assert interruptions._has_reached("candidate", "migrate")
    assert not interruptions._has_reached("link", "candidate")
    assert not interruptions._has_reached("", "build")


def test_the_number_comes_from_the_environment() -> None:
    assert interruptions.count({}) == 8
    assert interruptions.count({"HARDEN_LAB_INTERRUPTIONS": "100"}) == 100
