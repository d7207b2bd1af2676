"""The queries of this worker so far, by statement and line: the most expensive ones, however many there were.

It holds at most a thousand; then the half with the least time is summed up as one. Listens to the end of requests.
Knows nothing of Flask. If this is wrong, the page shows the wrong queries; requests are served all the same.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any

from .events import RequestsEnded
from .fingerprint import Statement
from .tally import LineSums

MOST_KEPT = 1000


@dataclass(slots=True)
class QueryStats:
    """What is known of one statement from one line; seconds, and counts since the worker started."""

    statement: Statement
    site: str
    count: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    rows: int = 0
    errors: int = 0
    requests: int = 0
    most_per_request: int = 0
    route: str = ""  # of the request with the most

    def add(self, line: LineSums) -> None:
        """Add those of some requests."""
        self.count += line.count
        self.seconds += line.seconds
        self.slowest = max(self.slowest, line.slowest)
        self.rows += line.rows
        self.errors += line.errors
        self.requests += line.requests
        if line.most > self.most_per_request:
            self.most_per_request, self.route = line.most, line.route


class QueryTable:
    """The table of one process; safe in threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # guards the rows; nothing slow happens while it is held
        self.rows: dict[tuple[str, str], QueryStats] = {}
        self.forgotten = 0  # queries whose rows made room
        self.forgotten_seconds = 0.0

    def add(self, ended: RequestsEnded) -> None:
        """Add the queries of some requests."""
        with self.lock:
            for line in ended.lines:
                key = (line.statement.id, line.site)
                row = self.rows.get(key)
                if row is None:
                    if len(self.rows) >= MOST_KEPT:
                        self._make_room()
                    row = self.rows[key] = QueryStats(line.statement, line.site)
                row.add(line)

    def _make_room(self) -> None:
        ordered = sorted(self.rows.items(), key=lambda item: item[1].seconds, reverse=True)
        for _, row in ordered[MOST_KEPT // 2 :]:
            self.forgotten += row.count
            self.forgotten_seconds += row.seconds
        self.rows = dict(ordered[: MOST_KEPT // 2])

    def top(self, most: int = 100, by: str = "seconds") -> list[dict[str, Any]]:
        """Return the rows with the most of something, as plain data.

        Args:
            most: how many.
            by: "seconds", "slowest", "count", "most_per_request" or "errors".
        """
        with self.lock:
            rows = sorted(self.rows.values(), key=lambda row: getattr(row, by), reverse=True)[:most]
            return [{**asdict(row), "statement": asdict(row.statement)} for row in rows]

    def clear(self) -> None:
        """Forget all: a forked child counts its own."""
        with self.lock:
            self.rows.clear()
            self.forgotten, self.forgotten_seconds = 0, 0.0


query_table = QueryTable()
