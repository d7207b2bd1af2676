"""Latencies in a histogram: exact to three digits, merged without loss, silent where samples are too few."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.load.histogram import Latencies, samples_needed
from scripts.load.result import nearest_rank

SECONDS = st.floats(1e-6, 3600)


def filled(values: list[float]) -> Latencies:
    latencies = Latencies()
    for value in values:
        latencies.record(value)
    return latencies


@settings(max_examples=20, deadline=None)
@given(st.lists(SECONDS, min_size=100, max_size=300), st.sampled_from([1, 50, 75, 90, 95, 99, 100]))
def test_percentiles_are_within_a_thousandth_of_the_exact_ones(values: list[float], percent: int) -> None:
    exact = nearest_rank(sorted(values), percent)
    found = filled(values).percentile(percent)
    assert exact is not None
    assert found is not None
    assert abs(found - exact) <= exact * 0.001 + 1e-6


@settings(max_examples=15, deadline=None)
@given(st.lists(SECONDS, max_size=100), st.lists(SECONDS, max_size=100))
def test_merged_by_its_encoding_it_is_the_same_as_recorded_in_one(left: list[float], right: list[float]) -> None:
    merged = filled(left)
    merged.add(Latencies(filled(right).encode()))
    together = filled(left + right)
    assert len(merged) == len(together) == len(left) + len(right)
    assert merged.curve() == together.curve()


def test_a_percentile_needs_a_sample_beyond_it() -> None:
    percents = (0, 50, 95, 99, 99.9, 99.99, 100)
    assert [samples_needed(percent) for percent in percents] == [1, 2, 20, 100, 1000, 10000, 1]
    assert filled([1.0] * 99).percentile(99) is None
    assert filled([1.0] * 100).percentile(99) is not None


def test_nothing_recorded_is_nothing_known() -> None:
    empty = Latencies()
    assert (empty.mean, empty.percentile(50), empty.percentile(100), empty.curve(), empty.share_within(1.0)) == (
        None, None, None, [], None,
    )  # fmt: skip


def test_more_than_an_hour_counts_as_one_and_the_share_within_a_limit_is_known() -> None:
    latencies = filled([0.1, 0.2, 0.3, 9999.0])
    assert latencies.share_within(0.25) == 0.5
    assert abs((latencies.percentile(100) or 0) - 3600) < 4


def test_cleared_it_begins_anew() -> None:
    latencies = filled([1.0])
    latencies.clear()
    assert len(latencies) == 0
