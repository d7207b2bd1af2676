"""What this worker has seen of its requests: by route, over the last five minutes, its N+1 and its slow queries.

Listens to events and keeps sums, never values of parameters, and a bounded number of rows. The cost per request is
a handful of additions. Knows neither Flask nor files. If this is wrong, the ops page shows wrong
figures; requests are served all the same.
"""

from __future__ import annotations

import hashlib
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .events import Repeats, RequestsEnded, SlowQuery

STEP = 5  # seconds of one point of the series
POINTS = 60
MOST_ROUTES, MOST_INCIDENTS, MOST_SLOW = 200, 100, 100
MOST_LINES, MOST_TEXT = 10, 500  # of one incident; characters of each of its statements
BOUNDS = tuple(0.0005 * 2 ** (step / 2) for step in range(37))  # seconds: half a millisecond to two minutes
COUNTED = ("requests", "errors", "queries", "seconds", "slow", "repeats")
POINT = len(COUNTED) + len(BOUNDS) + 1  # numbers of one point
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class RouteSeen:
    """One route's requests; `histogram` counts durations between BOUNDS."""

    count: int = 0
    errors: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    queries: int = 0
    query_seconds: float = 0.0
    histogram: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))


class Seen:
    """The sums of one process; safe in threads."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all, the lock too: a forked child counts its own, and the lock may have been held at the fork."""
        self._lock = threading.Lock()  # guards all below; nothing slow happens while it is held
        self.started = time.time()
        self.reported = {"repeats": 0, "slow": 0}  # since then; of these the rows are not all kept
        self._routes: dict[tuple[str, str], RouteSeen] = {}
        self._series: dict[int, list[float]] = {}  # a point has COUNTED, then the histogram of durations
        self._incidents: dict[str, dict[str, Any]] = {}
        self._slow: dict[tuple[str, str], dict[str, Any]] = {}

    def add_requests(self, ended: RequestsEnded) -> None:
        """Count some requests; blocks watched by hand are none."""
        with self._lock:
            point = self._point()
            for kind, method, path, status, seconds, queries, query_seconds, _ in ended.requests:
                if kind != "request":
                    continue
                is_error, place = status >= 500, bisect_left(BOUNDS, seconds)
                route = self._route(method, path)
                route.count += 1
                route.errors += is_error
                route.seconds += seconds
                if seconds > route.slowest:
                    route.slowest = seconds
                route.queries += queries
                route.query_seconds += query_seconds
                route.histogram[place] += 1
                point[0] += 1
                point[1] += is_error
                point[2] += queries
                point[3] += seconds
                point[len(COUNTED) + place] += 1

    def add_slow(self, slow: SlowQuery) -> None:
        """Count a slow query with the others of its statement and line."""
        now = time.time()
        with self._lock:
            self.reported["slow"] += 1
            self._point()[4] += 1
            key = (slow.statement.id, slow.site)
            row = self._slow.pop(key, None) or {
                "id": slow.statement.id, "text": slow.statement.text, "summary": slow.statement.summary,
                "site": slow.site, "times": 0, "timeouts": 0, "slowest": 0.0, "seconds": 0.0, "first": now,
            }  # fmt: skip
            self._slow[key] = row  # the one seen last is the last
            row["times"] += 1
            row["timeouts"] += slow.is_timeout
            row["seconds"] += slow.seconds
            row["last"] = now
            if slow.seconds >= row["slowest"]:
                row.update(slowest=slow.seconds, route=slow.route, rows=slow.rows, request_id=slow.request_id)
            _shorten(self._slow, MOST_SLOW)

    def add_repeats(self, found: Repeats) -> None:
        """Count an N+1 with the others of its route and lines; the last one is the one that is shown."""
        now = time.time()
        identity = _identity(found.route, *sorted(line.site for line in found.lines))
        with self._lock:
            self.reported["repeats"] += 1
            self._point()[5] += 1
            known = self._incidents.pop(identity, {"times": 0, "total_seconds": 0.0, "first": now})
            self._incidents[identity] = {
                "id": identity, "route": found.route, "times": known["times"] + 1, "first": known["first"],
                "last": now, "count": found.count, "seconds": found.seconds, "share": found.share,
                "total_seconds": known["total_seconds"] + found.seconds, "request_id": found.request_id,
                "lines": [
                    {
                        "site": line.site, "text": line.statement.text[:MOST_TEXT], "count": line.count,
                        "seconds": line.seconds,
                    }
                    for line in found.lines[:MOST_LINES]
                ],
                "stack": list(found.stack), "advice": found.advice, "rewrite": found.rewrite,
            }  # fmt: skip
            _shorten(self._incidents, MOST_INCIDENTS)

    def routes(self) -> list[dict[str, Any]]:
        """Return the requests by route, as plain data."""
        with self._lock:
            return [
                {
                    "method": method, "route": route, "count": seen.count, "errors": seen.errors,
                    "seconds": seen.seconds, "slowest": seen.slowest, "queries": seen.queries,
                    "query_seconds": seen.query_seconds, "histogram": list(seen.histogram),
                }
                for (method, route), seen in self._routes.items()
            ]  # fmt: skip

    def series(self) -> list[list[float]]:
        """Return the last five minutes: lists of a number (Unix time / STEP), COUNTED and the histogram."""
        with self._lock:
            oldest = int(time.time()) // STEP - POINTS
            return [[number, *point] for number, point in sorted(self._series.items()) if number > oldest]

    def incidents(self) -> list[dict[str, Any]]:
        """Return the N+1 incidents, the one seen last first."""
        with self._lock:
            return [dict(row) for row in reversed(self._incidents.values())]

    def slow(self) -> list[dict[str, Any]]:
        """Return the slow queries, the one seen last first."""
        with self._lock:
            return [dict(row) for row in reversed(self._slow.values())]

    def _route(self, method: str, rule: str) -> RouteSeen:
        key = (method if method in METHODS else "other", rule or "(no route)")
        found = self._routes.get(key)
        if found is None:
            if len(self._routes) >= MOST_ROUTES:
                key = ("other", "(other routes)")
            found = self._routes.setdefault(key, RouteSeen())
        return found

    def _point(self) -> list[float]:
        number = int(time.time()) // STEP
        point = self._series.get(number)
        if point is None:
            point = self._series[number] = [0] * POINT
            for old in [each for each in self._series if each <= number - POINTS]:
                del self._series[old]
        return point


def _shorten(rows: dict[Any, Any], most: int) -> None:
    if len(rows) > most:
        del rows[next(iter(rows))]


def _identity(*parts: str) -> str:
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()


def quantile(histogram: Iterable[float], share: float, highest: float = 2 * BOUNDS[-1]) -> float:
    """Estimate a quantile from a histogram, at most a fifth off.

    Args:
        histogram: counts between BOUNDS.
        share: such as 0.95.
        highest: the highest duration there was; no estimate is above it.
    """
    counts = list(histogram)
    wanted, passed = share * sum(counts), 0.0
    for place, count in enumerate(counts):
        if count and passed + count >= wanted:
            low = BOUNDS[place - 1] if place else 0.0
            high = BOUNDS[place] if place < len(BOUNDS) else highest
            return min(highest, low + (high - low) * (wanted - passed) / count)
        passed += count
    return 0.0


seen = Seen()
