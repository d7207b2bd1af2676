"""What a service sends is read with care: no control sign, no crash, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.top import figures

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_any_value_is_shown_as_one_printable_line(value: Any) -> None:
    for show in (figures.text, figures.place, figures.count, figures.seconds, figures.size):
        assert show(value).isprintable()


def test_what_would_steer_a_terminal_is_taken_out() -> None:
    assert figures.text("a\x1b[2J\x1b]0;t\x07b\r\nc\u202ed\x9bm") == "a [2J ]0;t b c d m"
    assert len(figures.text("x" * 1_000_000)) == figures.LONGEST


def test_a_long_path_keeps_its_end() -> None:
    assert figures.place("/srv/shop/releases/42/app/views.py:7 in show") == ".../app/views.py:7 in show"
    assert figures.place("shop/views.py:7 in show") == "shop/views.py:7 in show"
    assert figures.place("") == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.00005, "50 us"), (0.0123, "12.3 ms"), (4.214, "4.21 s"), (119, "119 s"), (600, "10 min"),
     (7200, "2 h"), ("x", "0"), (None, "0"), (True, "0"), (10**400, "0"), (float("nan"), "0")],
)  # fmt: skip
def test_seconds_are_shown_as_people_read_them(value: Any, shown: str) -> None:
    assert figures.seconds(value) == shown


def test_sizes_and_counts() -> None:
    assert figures.size(50 * 2**20) == "50 MiB"
    assert figures.size(64 * 2**30) == "64.0 GiB"
    assert figures.count(1234567) == "1,234,567"


def test_a_rate_is_of_the_last_half_minute_without_the_step_that_is_still_filling() -> None:
    data = {"series": {"step": 5, "requests": [1000, *[50] * 6, 7]}}
    assert figures.per_second(data, "requests") == 10.0
    assert figures.per_second({"series": {"step": 5, "requests": [7]}}, "requests") == 0.0
    assert figures.per_second({"series": {"step": 0, "requests": [1, 2]}}, "requests") == 0.0


def test_bars_are_as_high_as_their_share_of_the_highest() -> None:
    assert figures.spark([0, 4, 8, -1], 4) == "▁▄█▁" or figures.spark([0, 4, 8, -1], 4) == "▁▅█▁"
    assert figures.spark([0, 0], 10) == "▁▁"
    assert figures.spark([1, 2], 0) == figures.spark([], 5) == ""


def test_complaints_name_the_worker() -> None:
    workers = [
        {"pid": 1, "health": "ok", "is_stale": False},
        {"pid": 2, "health": "no database for 9 s", "is_stale": False},
        {"pid": 3, "health": "ok", "is_stale": True},
    ]
    assert figures.complaints({"workers": workers}) == [
        "worker 2: no database for 9 s", "worker 3: no word from it lately",
    ]  # fmt: skip
    assert figures.complaints({"workers": workers[:1]}) == []
    assert figures.complaints({}) == ["no worker answers"]
