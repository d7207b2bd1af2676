"""The queries of some requests together, by statement and line: what tables and figures add up.

Requests of one service ask much the same, so what is worked out for a line is worked out once for all of them.
Knows nothing of who listens. If this is wrong, the table of queries and the metrics are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from .fingerprint import LONGEST, Statement
from .lines import Line, key_of, line_of
from .query_group import Group, joined
from .query_log import QueryLog


class LineSums:
    """What one line has asked, of all requests that are added up.

    Attributes:
        line: which.
        durations: seconds of each run, of some requests the first thousand.
        count, seconds, slowest: of all runs, once `close` was called.
        rows: returned or changed; 0 where the driver does not say.
        errors: how many failed.
        requests: how many have asked.
        most: the most runs of one request.
        route: of that request.
        log, here: the request that is being added, and its runs so far.
        hidden: runs that one call may stand for: `executemany` sends each row alone.
    """

    __slots__ = (
        "count", "durations", "errors", "here", "hidden", "line", "log", "most", "requests", "route", "rows",
        "seconds", "slowest",
    )  # fmt: skip

    def __init__(self, line: Line) -> None:
        self.line = line
        self.durations: list[float] = []
        self.count, self.seconds, self.slowest = 0, 0.0, 0.0  # of what is not among the durations, until `close`
        self.rows = self.errors = self.requests = self.most = self.here = 0
        self.route = ""
        self.log: QueryLog | None = None
        self.hidden = sys.maxsize if line.method == "executemany" else 0

    @property
    def statement(self) -> Statement:
        """What is asked, without its values."""
        return self.line.statement

    @property
    def site(self) -> str:
        """The line as text."""
        return self.line.site

    def begin(self, log: QueryLog) -> None:
        """Begin with a request."""
        if self.here > self.most:
            self._leave()
        self.log, self.here = log, 0
        self.requests += 1

    def _leave(self) -> None:
        if self.log is not None and self.here > self.most:
            self.most, self.route = self.here, self.log.route

    def add(self, group: Group, route: str) -> None:
        """Add what was counted already of one request."""
        self._leave()
        self.log = None
        self.durations += group.durations
        self.count += group.count - len(group.durations)
        self.seconds += group.seconds - sum(group.durations)
        self.slowest = max(self.slowest, group.slowest)
        self.rows += max(group.rows, 0)
        self.errors += group.errors
        self.requests += 1
        if group.count > self.most:
            self.most, self.route = group.count, route

    def close(self) -> None:
        """Work out the sums."""
        self._leave()
        durations = self.durations
        if durations:
            self.count += len(durations)
            self.seconds += sum(durations)
            self.slowest = max(self.slowest, max(durations))
        self.rows = max(self.rows, 0)


class Tally:
    """Adds logs up."""

    def __init__(self) -> None:
        self._sums: dict[Any, LineSums] = {}  # by the text as it is and where it stands, so that few are looked up
        self._lines: dict[int, LineSums] = {}  # texts that differ in their values alone are one line

    def add(self, log: QueryLog) -> int:
        """Add a log that is over, and whose entries are all there is of it.

        Returns:
            the most runs of one statement from one line; a huge number where one call may be many.
        """
        sums, here = self._sums, list[LineSums]()
        for query, seconds, rows, code, instruction in log:
            is_short = query.__class__ is str and len(query) <= LONGEST
            place = query if is_short else key_of(query), id(code), instruction
            line = sums.get(place)
            if line is None:
                line = sums[place] = self._sums_of(line_of(query, code, instruction))
            line.durations.append(seconds)
            line.rows += rows
            if line.log is not log:
                line.begin(log)
                here.append(line)
            line.here += 1
        if len(here) == 1:
            return here[0].here + here[0].hidden
        return _most(here) if here else 0

    def add_groups(self, groups: Iterable[Group], route: str) -> None:
        """Add what was counted already."""
        for group in joined(groups):
            self._sums_of(group.line).add(group, route)

    def _sums_of(self, line: Line) -> LineSums:
        sums = self._lines.get(line.place)
        if sums is None:
            sums = self._lines[line.place] = LineSums(line)
        return sums

    def lines(self) -> list[LineSums]:
        """Return the sums; nothing can be added after that."""
        found = list(self._lines.values())
        for line in found:
            line.close()
        return found


def _most(lines: list[LineSums]) -> int:
    """Return the most runs of one statement; one line of text may have several calls, and many values."""
    counts: dict[tuple[str, str], int] = {}
    for each in lines:
        key = each.line.statement.id, each.line.site
        counts[key] = counts.get(key, 0) + each.here + each.hidden
    return max(counts.values())
