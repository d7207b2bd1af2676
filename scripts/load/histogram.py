"""Latencies in an HDR histogram: three significant digits from a microsecond to an hour, whatever the number.

The histogram is Gil Tene's, by the package `hdrhistogram`; here it is given seconds, and refuses percentiles for
which it has too few samples.
"""

from __future__ import annotations

import math

from hdrh.histogram import HdrHistogram

MICROSECONDS = 1_000_000
LOWEST, HIGHEST = 1, 3600 * MICROSECONDS
DIGITS = 3
# Percentiles of a curve, by nines: each step halves what is left, as in an HDR plot.
CURVE = (0.0, 10.0, 25.0, 50.0, 75.0, 87.5, 90.0, 93.75, 95.0, 96.875, 98.4375, 99.0, 99.5, 99.75, 99.9, 99.95,
         99.99)  # fmt: skip


def samples_needed(percent: float) -> int:
    """Return how many samples a percentile needs: so many that one is expected beyond it."""
    return 1 if percent <= 0 else -(-100_000 // round((100 - percent) * 1000)) if percent < 100 else 1


class Latencies:
    """A histogram of seconds.

    Args:
        encoded: what `encode` returned; None begins empty.
    """

    def __init__(self, encoded: bytes | None = None) -> None:
        self._counts = HdrHistogram(LOWEST, HIGHEST, DIGITS)
        if encoded is not None:
            self._counts.decode_and_add(encoded)

    def record(self, seconds: float) -> None:
        """Count one latency; what is longer than an hour counts as an hour."""
        self._counts.record_value(min(max(round(seconds * MICROSECONDS), LOWEST), HIGHEST))

    def add(self, other: Latencies) -> None:
        """Count all that another one has."""
        self._counts.add(other._counts)

    def encode(self) -> bytes:
        """Return it as text in HdrHistogram's V2 encoding, compressed and in base64."""
        return bytes(self._counts.encode())

    def clear(self) -> None:
        """Begin anew."""
        self._counts.reset()

    def __len__(self) -> int:
        return int(self._counts.get_total_count())

    @property
    def mean(self) -> float | None:
        """The mean in seconds."""
        return self._counts.get_mean_value() / MICROSECONDS if len(self) else None

    def percentile(self, percent: float) -> float | None:
        """Return a percentile in seconds; None where there are too few samples. 100 is the maximum."""
        if len(self) < samples_needed(percent):
            return None
        if percent >= 100:
            return float(self._counts.get_max_value()) / MICROSECONDS
        # By rank, as the nearest-rank definition says: the package rounds to the nearest, which may be one below.
        rank = max(math.ceil(round(len(self) * percent / 100, 6)), 1)
        return float(self._counts.get_value_at_percentile(100 * rank / len(self))) / MICROSECONDS

    def share_within(self, seconds: float) -> float | None:
        """Return the share of samples that took no longer, 0 to 1."""
        if not len(self):
            return None
        limit = round(seconds * MICROSECONDS)
        within = sum(
            item.count_at_value_iterated_to
            for item in self._counts.get_recorded_iterator()
            if item.value_iterated_to <= limit
        )
        return float(within) / len(self)

    def curve(self) -> list[tuple[float, float]]:
        """Return (percent, seconds) by nines, up to the last one that has samples enough, and the maximum."""
        points = [(percent, self.percentile(percent)) for percent in (*CURVE, 100.0)]
        return [(percent, seconds) for percent, seconds in points if seconds is not None]
