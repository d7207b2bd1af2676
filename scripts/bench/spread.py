"""Medians with their spread, percentiles and fairness."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """One figure over all rounds.

    Attributes:
        median: of the rounds.
        low, high: the least and the most of them.
        rounds: each round's value, in their order.
    """

    median: float
    low: float
    high: float
    rounds: tuple[float, ...]


def spread(values: Sequence[float]) -> Spread:
    """Return the median of some rounds with the least and the most.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("a spread needs one round at least")
    return Spread(statistics.median(values), min(values), max(values), tuple(values))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of sorted values: one that was measured; 0.0 of none at all."""
    if not ordered:
        return 0.0
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def jain(shares: Sequence[float]) -> float:
    """Return Jain's fairness index: 1 when all have the same, 1/n when one has everything.

    Jain, Chiu, Hawe: A Quantitative Measure of Fairness and Discrimination, DEC-TR-301, 1984.
    """
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0
