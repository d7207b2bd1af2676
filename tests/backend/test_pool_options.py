"""The options of a pool: checked when they are made, and never changed afterwards."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import PoolOptions, SettingsError
from backend.pool_options import CHOICES, HOOKS, checked_sizes

NUMBERS = [field.name for field in dataclasses.fields(PoolOptions) if isinstance(field.default, (int, float))]


def test_defaults_are_valid_and_frozen() -> None:
    options = PoolOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.timeout = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, float("nan"), "5", None, True])
def test_what_is_no_number_of_at_least_zero_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=rf"PoolOptions\.{name}={value!r} is not a number of at least 0"):
        PoolOptions(**{name: value})


def test_every_problem_is_listed() -> None:
    with pytest.raises(SettingsError) as caught:
        PoolOptions(timeout=-1, max_idle=-1, reset="all", session_state="?", configure=3)
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize("name", NUMBERS)
def test_zero_is_allowed_everywhere(name: str) -> None:
    assert getattr(PoolOptions(**{name: 0}), name) == 0


@given(low=st.integers(-3, 5), high=st.integers(-3, 5))
def test_sizes_are_taken_as_they_are_or_refused(low: int, high: int) -> None:
    try:
        assert checked_sizes(low, high) == (low, high)
        assert 0 <= low <= high >= 1
    except SettingsError:
        assert not 0 <= low <= high or high < 1


@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("value", [3, "print", [print]])
def test_a_hook_that_cannot_be_called_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=rf"PoolOptions\.{name}=.* cannot be called"):
        PoolOptions(**{name: value})


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_each_choice_is_taken_and_nothing_else(name: str) -> None:
    for value in CHOICES[name]:
        assert getattr(PoolOptions(**{name: value}), name) == value
    for wrong in ("", CHOICES[name][0].upper(), None, 0):
        with pytest.raises(SettingsError, match=rf"PoolOptions\.{name}=.* is not one of {CHOICES[name][0]}, "):
            PoolOptions(**{name: wrong})


def test_every_option_is_documented() -> None:
    described = PoolOptions.__doc__ or ""
    for field in dataclasses.fields(PoolOptions):
        assert f"        {field.name}: " in described
