"""Medians, percentiles and fairness, with values worked out by hand."""

from __future__ import annotations

import pytest

from scripts.bench.spread import Spread, jain, percentile, spread


@pytest.mark.parametrize(
    ("shares", "index"),
    [
        ([5, 5, 5, 5], 1.0),
        ([20, 0, 0, 0], 0.25),
        ([1, 3], 0.8),  # 16 / (2 * 10)
        ([1, 2, 3], 36 / 42),
        ([0, 0], 0.0),
        ([], 0.0),
    ],
)
def test_jain(shares: list[float], index: float) -> None:
    assert jain(shares) == pytest.approx(index)


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 10), (0.01, 10), (0.25, 10), (0.26, 20), (0.5, 20), (0.75, 30), (0.99, 40), (1, 40)]
)
def test_percentile_is_nearest_rank(share: float, value: float) -> None:
    assert percentile([10, 20, 30, 40], share) == value


def test_percentile_of_nothing_is_zero() -> None:
    assert percentile([], 0.99) == 0.0


def test_p99_of_a_hundred_is_the_ninety_ninth() -> None:
    assert percentile(list(range(1, 101)), 0.99) == 99


@pytest.mark.parametrize(
    ("rounds", "median"), [([3.0], 3.0), ([9.0, 1.0, 2.0], 2.0), ([4.0, 1.0, 2.0, 3.0], 2.5)]
)
def test_spread(rounds: list[float], median: float) -> None:
    assert spread(rounds) == Spread(median, min(rounds), max(rounds), tuple(rounds))


def test_spread_of_no_rounds_is_an_error() -> None:
    with pytest.raises(ValueError, match="one round"):
        spread([])
