"""What this process adds to its board: series by name and labels, each found by one look into a dictionary.

A process begins its board at its first figure, never before: a master that only forks workers is no worker. A
forked child begins its own. Statements get a label of their own in the background, once they were seen a few
times and where there is room; until then they count as `other`.
Must not import Flask or the pool. If this is wrong, figures are; the app's requests are not touched.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from . import totals
from .board import Board
from .metric_names import BY_NAME, COUNTS, OTHER, SCHEMA, SECONDS
from .run_folder import RunFolder
from .tally import LineSums

log = logging.getLogger(__name__)
MOST_ROUTES, MOST_STATEMENTS, MOST_CANDIDATES, MOST_SLOTS = 200, 100, 1000, 10_000
SEEN = 3  # requests with a statement, until it gets a label of its own
NO_ROUTE = "none"  # what no URL rule matched, or what was asked outside a request
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUESTS, QUERIES = "harden_request_duration_seconds", "harden_query_duration_seconds"
# Counters of a route that are there from its first request on: to Prometheus, what appears as 1 has not increased.
ZERO = ("harden_repeats", "harden_slow_queries", "harden_statement_timeouts")
STATUSES = {1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
_SUM, _COUNT_SUM = len(SECONDS) + 1, len(COUNTS) + 1  # where a histogram's sum is
_FASTEST = SECONDS[0]
_ENDS = array("d", SECONDS)  # side by side in memory, as they are looked at after each request
_OF_COUNT = bytes(bisect_left(COUNTS, count) for count in range(int(COUNTS[-1]) + 1))


class Recorder:
    """This process's figures.

    Args:
        folder: where other processes look for them.

    Attributes:
        lock: guards the board and what leads to its cells; nothing slow happens while it is held.
        board: None until something was counted.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.board: Board | None = None
        self.lock = threading.RLock()  # reentrant: a signal's handler may end a request, too
        self._pid = -1
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._slots: dict[tuple[str, ...], int] = {}
        self._requests: dict[tuple[str, str, int], tuple[int, int, int]] = {}
        self._routes: set[str] = set()
        self._statements: dict[str, int] = {}
        self._known: frozenset[str] = frozenset()  # what has a label of its own somewhere in the service
        self._candidates: dict[str, tuple[int, str]] = {}
        self._is_full = False

    def begin(self) -> Board:
        """Make this process's board, unless it has one."""
        if self.board is not None and self._pid == os.getpid():
            return self.board
        with self.lock:
            if self.board is None or self._pid != os.getpid():
                self._start_afresh()
                self.board = Board(self.folder.path_of(totals.KIND), SCHEMA)
                self._put("harden_workers", (), (1.0,))
                self._put("harden_worker_starts", (), (1.0,))
                self.slot(totals.MARK, ())
                self._statements[OTHER] = self.slot(QUERIES, (OTHER, OTHER))
                atexit.register(self.leave)
                self._pid = os.getpid()  # last: who finds it here counts without asking further
            return self.board

    def forget_parent(self) -> None:
        """In a forked child: the lock may have been held, and the board is the parent's."""
        self.lock = threading.RLock()
        self.board = None
        self._pid = -1

    def leave(self) -> None:
        """Note that this process ends by itself. Its board stays, for others to add up."""
        if self.board is not None and self._pid == os.getpid():
            self.put(totals.MARK, (), (1.0,))

    def request(
        self, route: str, method: str, status: int, seconds: float, queries: int, query_seconds: float
    ) -> None:
        """Count a request without its statements.

        Args:
            route, method, status: what was asked, and the answer.
            seconds: how long it took.
            queries, query_seconds: how many queries it made, and the time spent in them.
        """
        if self.board is None:
            self.begin()
        with self.lock:
            cells = self.board.cells  # type: ignore[union-attr]  # there is one since `begin`
            slots = self._requests.get((route, method, status))
            if slots is None:
                slots = self._request_slots(route, method, status)
            first, of_queries, of_seconds = slots
            cells[first + bisect_left(_ENDS, seconds)] += 1.0
            cells[first + _SUM] += seconds
            cells[of_queries + (_OF_COUNT[queries] if queries < len(_OF_COUNT) else len(COUNTS))] += 1.0
            if queries:
                cells[of_queries + _COUNT_SUM] += queries
                cells[of_seconds] += query_seconds

    def statements(self, lines: Iterable[LineSums]) -> None:
        """Count queries by statement."""
        with self.lock:
            cells, statements = self._cells(), self._statements
            for line in lines:
                slot = statements.get(line.statement.id)
                if slot is None:
                    slot = self._of_other(line)
                if line.slowest <= _FASTEST:
                    cells[slot] += line.count
                else:
                    self._spread(slot, line)
                cells[slot + _SUM] += line.seconds
                if line.errors:
                    self._count_errors(line)

    def add(self, metric: str, labels: tuple[str, ...], *amounts: float) -> None:
        """Add to a counter or a summary; to each of its cells."""
        self.begin()
        with self.lock:
            slot, cells = self.slot(metric, labels), self._cells()
            for at, amount in enumerate(amounts):
                cells[slot + at] += amount

    def put(self, metric: str, labels: tuple[str, ...], values: tuple[float, ...]) -> None:
        """Set a gauge."""
        self.begin()
        with self.lock:
            self._put(metric, labels, values)

    def _put(self, metric: str, labels: tuple[str, ...], values: tuple[float, ...]) -> None:
        slot, cells = self.slot(metric, labels), self._cells()
        for at, value in enumerate(values):
            cells[slot + at] = value

    def _cells(self) -> memoryview[float]:
        assert self.board is not None
        return self.board.cells

    def slot(self, metric: str, labels: tuple[str, ...]) -> int:
        """Return a series' first cell; without room that of `other`, and then one that nobody reads."""
        key = (metric, *labels)
        found = self._slots.get(key)
        if found is None:
            assert self.board is not None
            cells = BY_NAME[metric].cells if metric in BY_NAME else 1
            made = self.board.series(metric, labels, cells)
            others = (OTHER,) * len(labels)
            if made is None:
                made = self.slot(metric, others) if labels != others else 0
            if len(self._slots) < MOST_SLOTS:
                self._slots[key] = made
            found = made
        return found

    def route(self, route: str) -> str:
        """Return the label of a route; there are 200 at most."""
        route = route or NO_ROUTE
        if route not in self._routes:
            if len(self._routes) >= MOST_ROUTES:
                return OTHER
            self._routes.add(route)
        return route

    def _request_slots(self, asked: str, method: str, status: int) -> tuple[int, int, int]:
        route = self.route(asked)
        named = method if method in METHODS else OTHER
        slots = (
            self.slot(REQUESTS, (route, named, STATUSES.get(status // 100, OTHER))),
            self.slot("harden_request_queries", (route,)), self.slot("harden_request_query_seconds", (route,)),
        )  # fmt: skip
        for name in ZERO:
            self.slot(name, (route,))
        if len(self._requests) < MOST_ROUTES * 50:  # methods are whatever a client sends
            self._requests[asked, method, status] = slots
        return slots

    def _spread(self, slot: int, line: LineSums) -> None:
        cells, durations = self._cells(), line.durations
        durations.sort()
        done = 0
        for at, edge in enumerate(SECONDS):
            upto = bisect_right(durations, edge, done)
            if upto > done:
                cells[slot + at] += upto - done
                done = upto
                if done == len(durations):
                    break
        cells[slot + len(SECONDS)] += len(durations) - done
        rest = line.count - len(durations)
        if rest > 0:  # of one request only the first thousand are known one by one
            mean = max(0.0, line.seconds - sum(durations)) / rest
            cells[slot + bisect_left(SECONDS, mean)] += rest

    def _count_errors(self, line: LineSums) -> None:
        is_known = line.statement.id in self._statements
        labels = (line.statement.id, line.statement.summary) if is_known else (OTHER, OTHER)
        self._cells()[self.slot("harden_query_errors", labels)] += line.errors

    def _of_other(self, line: LineSums) -> int:
        """Return where a statement counts that has no place of its own here; called with the lock held."""
        statement = line.statement
        if statement.id in self._known:
            return self._admit(statement.id, statement.summary)
        if not self._is_full:
            seen, _ = self._candidates.get(statement.id, (0, ""))
            if not seen and len(self._candidates) >= MOST_CANDIDATES:
                self._candidates.clear()
            self._candidates[statement.id] = seen + line.requests, statement.summary
        return self._statements[OTHER]

    def _admit(self, statement: str, summary: str) -> int:
        slot = self._statements[statement] = self.slot(QUERIES, (statement, summary))
        return slot

    def learn(self) -> None:
        """Look up which statements have a label of their own anywhere in the service: those get one here too."""
        found = totals.read_all(self.folder, self.board).values
        self._known = frozenset(labels[0] for metric, labels in found if metric == QUERIES) - {OTHER}

    def admit(self) -> None:
        """Give a label of their own to statements that were seen a few times, while there is room."""
        with self.lock:
            ready = [(name, summary) for name, (seen, summary) in self._candidates.items() if seen >= SEEN]
        if not ready:
            return
        self.learn()  # without the lock: it reads files
        with self.lock:
            for statement, summary in ready:
                if len(self._known) >= MOST_STATEMENTS and statement not in self._known:
                    self._is_full = True
                    self._candidates.clear()
                    return
                self._known |= {statement}
                self._candidates.pop(statement, None)
                self._admit(statement, summary)
