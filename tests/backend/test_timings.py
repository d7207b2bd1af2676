"""The table of timings: right figures from a fixed histogram, bounded, shared by threads, afresh after a fork."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import timings as timings_of_process
from backend.timings import LONGEST_NAME, MOST_NAMES, OTHER, Timings
from tests.support.children import FORKS, in_child
from tests.support.threads import together


def test_figures_of_one_name() -> None:
    table = Timings()
    for seconds in (0.010, 0.030, 0.020):
        table.add("load", seconds)
    (row,) = table.snapshot()
    assert (row["name"], row["count"], row["max"], row["last"]) == ("load", 3, 0.030, 0.020)
    assert row["total"] == pytest.approx(0.060)
    assert row["mean"] == pytest.approx(0.020)
    assert row["p50"] == pytest.approx(0.020, rel=0.1)
    assert row["p95"] == pytest.approx(0.030, rel=0.1)
    assert (row["grown_bytes"], row["last_grown_bytes"], row["peak_bytes"]) == (None, None, None)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-6, 1800.0), min_size=1, max_size=50))
def test_percentiles_are_within_a_tenth_of_the_truth(spans: list[float]) -> None:
    table = Timings()
    for seconds in spans:
        table.add("x", seconds)
    (row,) = table.snapshot()
    assert row["p50"] == pytest.approx(statistics.median_low(spans), rel=0.1)
    assert row["p50"] <= row["p95"] <= row["max"]


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-12, 1e9])
def test_spans_off_the_histogram_s_ends_are_counted(seconds: float) -> None:
    table = Timings()
    table.add("x", seconds)
    (row,) = table.snapshot()
    assert (row["count"], row["last"], row["p50"]) == (1, seconds, row["max"])


def test_the_name_with_the_most_seconds_comes_first() -> None:
    table = Timings()
    for name, seconds in (("b", 1.0), ("a", 3.0), ("c", 2.0)):
        table.add(name, seconds)
    assert [row["name"] for row in table.snapshot()] == ["a", "c", "b"]
    assert [row["name"] for row in table.snapshot(most=1)] == ["a"]


def test_names_are_bounded_and_what_is_beyond_is_summed_up() -> None:
    table = Timings()
    for number in range(3 * MOST_NAMES):
        table.add(f"user {number}", 1.0)
    table.add("x" * 10_000, 1.0)
    rows = {row["name"]: row["count"] for row in table.snapshot(10 * MOST_NAMES)}
    assert len(rows) == MOST_NAMES + 1
    assert rows[OTHER] == 2 * MOST_NAMES + 1
    other = Timings()
    other.add("x" * 10_000, 1.0)
    assert len(other.snapshot()[0]["name"]) == LONGEST_NAME


def test_no_span_is_lost_between_threads() -> None:
    table = Timings()
    together(8, lambda number: [table.add("x", 1.0) for _ in range(2000)])
    (row,) = table.snapshot()
    assert (row["count"], row["total"]) == (16000, 16000.0)


def test_memory_is_added_to_the_same_row() -> None:
    table = Timings()
    for grown, peak in ((100, 500), (-30, 400)):
        table.add("x", 1.0)
        table.add_memory("x", grown, peak)
    (row,) = table.snapshot()
    assert (row["grown_bytes"], row["last_grown_bytes"], row["peak_bytes"]) == (70, -30, 500)


def test_memory_without_a_time_is_no_row() -> None:
    table = Timings()
    table.add_memory("x", 1, 1)
    assert table.snapshot() == []


@FORKS
def test_a_forked_child_begins_at_nothing_whoever_held_the_lock() -> None:
    table = Timings()
    table.add("x", 1.0)
    with table._lock:
        assert in_child(lambda: (table.add("y", 1.0), table.snapshot())[1])[0]["name"] == "y"


def test_clear_forgets_all_and_the_process_has_one_table() -> None:
    table = Timings()
    table.add("x", 1.0)
    table.clear()
    assert table.snapshot() == []
    assert isinstance(timings_of_process(), list)
