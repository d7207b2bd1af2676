"""The slow queries of this worker so far, by statement, and which of them the log is due to hear of.

The first slow run of a statement is logged at once; the others are summed up, a line a minute, and all statements
together have sixty lines a minute. At most five hundred statements are known; then the half with the least time
makes room.
Knows no connections and no Flask. If this is wrong, a storm of slow queries becomes a storm of log lines.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from .events import SlowQuery
from .fingerprint import Statement

MOST_KEPT = 500
MOST_ROUTES = 10  # of one statement
AGAIN_AFTER = 60.0  # seconds between two log lines about one statement, ...
MOST_LINES = 60  # ... and in which all of them have so many


@dataclass(slots=True)
class Quiet:
    """What the log was not told of yet: until when it is too early, how many runs, their seconds."""

    until: float = float("-inf")
    count: int = 0
    seconds: float = 0.0


class Due(NamedTuple):
    """A log line that is due.

    Attributes:
        held_back, held_seconds: slow runs of the statement since its last line, and their time together.
        others: those of other statements that were too many for a line.
    """

    held_back: int = 0
    held_seconds: float = 0.0
    others: int = 0


@dataclass(slots=True)
class SlowGroup:
    """What is known of one statement's slow runs.

    Attributes:
        count, seconds, slowest: of the slow runs; the fast ones are in the table of all queries.
        timeouts: how many of them the server's statement_timeout ended.
        failed: how many ended in any error.
        site: the line of the last one.
        routes: where they came from, the first ten.
        last: when the last one ended, in seconds since 1970.
        quiet: by SQLSTATE, for a timeout is news where a slow run is none.
    """

    statement: Statement
    count: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    timeouts: int = 0
    failed: int = 0
    site: str = ""
    routes: list[str] = field(default_factory=list)
    last: float = 0.0
    quiet: dict[str, Quiet] = field(default_factory=dict)

    def add(self, found: SlowQuery) -> None:
        """Add one run."""
        self.count += 1
        self.seconds += found.seconds
        self.slowest = max(self.slowest, found.seconds)
        self.timeouts += found.is_timeout
        self.failed += bool(found.sqlstate)
        self.site, self.last = found.site, time.time()
        if found.route and found.route not in self.routes and len(self.routes) < MOST_ROUTES:
            self.routes.append(found.route)


class SlowTable:
    """The table of one process; safe in threads."""

    def __init__(self) -> None:
        self._start_afresh()
        self._pid = -1  # the first query makes the lock anew: gevent may replace locks after this import

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()  # guards the rows; nothing slow happens while it is held
        self._rows: dict[str, SlowGroup] = {}
        self._lines, self._lines_since, self._others = 0, float("-inf"), 0

    def add(self, found: SlowQuery, now: float) -> Due | None:
        """Add a slow query.

        Args:
            found: it.
            now: seconds of a clock that never goes back.

        Returns:
            what a log line says besides; None when it is too early for another one.
        """
        self._own()
        with self._lock:
            row = self._rows.get(found.statement.id)
            if row is None:
                if len(self._rows) >= MOST_KEPT:
                    self._make_room()
                row = self._rows[found.statement.id] = SlowGroup(found.statement)
            row.add(found)
            quiet = row.quiet.setdefault(found.sqlstate, Quiet())
            if now < quiet.until:
                quiet.count += 1
                quiet.seconds += found.seconds
                return None
            if not self._may_log(now):
                self._others += 1
                return None
            row.quiet[found.sqlstate] = Quiet(now + AGAIN_AFTER)
            others, self._others = self._others, 0
            return Due(quiet.count, quiet.seconds, others)

    def _own(self) -> None:
        if self._pid != os.getpid():  # a forked child counts its own, and the lock may have been held at the fork
            self._start_afresh()

    def _may_log(self, now: float) -> bool:
        if now - self._lines_since >= AGAIN_AFTER:
            self._lines, self._lines_since = 0, now
        self._lines += 1
        return self._lines <= MOST_LINES

    def _make_room(self) -> None:
        ordered = sorted(self._rows.items(), key=lambda item: item[1].seconds, reverse=True)
        self._rows = dict(ordered[: MOST_KEPT // 2])

    def top(self, most: int) -> list[dict[str, Any]]:
        """Return the statements with the most time in slow runs, as plain data."""
        self._own()
        with self._lock:
            rows = sorted(self._rows.values(), key=lambda row: row.seconds, reverse=True)[:most]
            plain = [asdict(row) for row in rows]
        for row in plain:
            del row["quiet"]
        return plain

    def clear(self) -> None:
        """Forget all."""
        self._start_afresh()
