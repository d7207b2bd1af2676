"""A soak, compressed: the requests of an hour, as fast as they are answered, on one set of workers.

Workers are not replaced meanwhile, so that what grows is seen. Growth is the slope of a straight line through the
samples of the second half (Theil and Sen's: the median of all slopes, so that one outlier is nothing).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from ...demo.sides import Sides
from ...load import Workload, run_closed
from ...load.site import parse_site
from ...load.watch import Watch

USERS = 16
SEEN = ("server_rss_mb", "server_files", "connections")
Sample = tuple[int, float, float, float]  # requests so far, and what was seen then
SLICE = 2.0  # seconds of load between two samples


@dataclass(frozen=True)
class Soak:
    """What a soak showed.

    Attributes:
        requests: answered in all.
        failed: of them.
        memory_mb: resident, at the begin of the second half and at the end.
        memory_per_100k: MiB that 100,000 requests add, by the slope.
        files, connections: highest in the first half after the warm-up and in the second.
    """

    seconds: float
    requests: int
    failed: int
    memory_mb: tuple[float, float]
    memory_per_100k: float
    files: tuple[float, float]
    connections: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def soak(sides: Sides, seconds: float, token: str, dsn: str, tell: Callable[[float, float, str], None]) -> Soak:
    """Load the hardened shop without a pause and look at it between slices."""
    site = parse_site(sides.hardened.url)
    requests = [request for route in sides.workloads.values() for request in route]
    answered = failed = 0
    samples: list[Sample] = []
    begun = time.monotonic()
    with Watch(site, token, dsn) as watch:
        while (passed := time.monotonic() - begun) < seconds:
            tell(passed, seconds, f"soak, {answered:,} requests")
            result = run_closed(Workload(sides.hardened.url, requests), USERS, SLICE)
            answered, failed = answered + result.answered, failed + result.failed
            seen = watch.look(0.0)
            memory, files, connections = (seen[name] for name in SEEN)
            if memory is not None and files is not None and connections is not None:
                samples.append((answered, memory, files, connections))
    return _judged(time.monotonic() - begun, answered, failed, samples)


def _judged(seconds: float, answered: int, failed: int, samples: Sequence[Sample]) -> Soak:
    half = len(samples) // 2
    late, early = samples[half:], samples[half // 4 : half]
    files, connections = ((max(s[n] for s in early), max(s[n] for s in late)) for n in (2, 3))
    growth = slope([(each[0], each[1]) for each in late]) * 100_000
    return Soak(seconds, answered, failed, (late[0][1], late[-1][1]), growth, files, connections)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return Theil and Sen's slope of some points; 0 for fewer than two."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] != a[0]]
    return statistics.median(slopes) if slopes else 0.0


