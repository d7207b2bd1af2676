"""Numbers on a command line: taken within their bounds, refused with what was wanted."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.arguments import number_of, seconds_for


@given(st.integers(-10, 20))
def test_whole_numbers_within_their_bounds_are_taken(value: int) -> None:
    parse = number_of("users", 1, 10)
    if 1 <= value <= 10:
        assert parse(str(value)) == value
    else:
        with pytest.raises(argparse.ArgumentTypeError, match=rf"'{value}' is no number of users \(1 to 10\)"):
            parse(str(value))


@pytest.mark.parametrize("text", ["", "1.5", "one", "²", "0x1", "1 0"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no number of users"):
        number_of("users", 1, 10)(text)


@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), ("60", 60.0), ("1e1", 10.0)])
def test_times_within_their_bounds_are_taken(text: str, value: float) -> None:
    assert seconds_for("a run", 0.5, 60)(text) == value


@pytest.mark.parametrize("text", ["", "nan", "inf", "0.49", "61", "-1", "soon"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is no time for a run \(0\.5 to 60 seconds\)"):
        seconds_for("a run", 0.5, 60)(text)
