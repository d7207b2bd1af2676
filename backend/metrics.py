"""Counts requests, queries and the pool, for `/metrics` and the page: switched on by HARDEN_METRICS.

It listens to what the monitor emits, counts on this worker's board, and has one thread that looks at the pools
once a second. Figures are read from the boards of all workers; see docs/metrics.md for each.
Must not import Flask. If this is wrong, alerts sleep or cry wolf; requests are served all the same.
"""

from __future__ import annotations

import logging
import os
import threading

from . import events, request_end, totals
from .events import Repeats, RequestsEnded, SlowQuery
from .pgbouncer_stats import Console
from .recorder import Recorder
from .run_folder import open_folder
from .settings import Settings
from .summed_log import SummedLog
from .totals import Totals
from .worker_figures import WorkerFigures

log = logging.getLogger(__name__)
_trouble = SummedLog(log, 60.0)
EVERY = 1.0  # seconds between two looks at the pools
FOLD_EVERY = 10  # looks between two looks for dead workers


class Metrics:
    """The figures of one service, as one of its processes counts and reads them.

    Args:
        settings: HARDEN_RUN_DIR and HARDEN_PGBOUNCER_DSN.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = open_folder(settings["HARDEN_RUN_DIR"])
        self.console = Console(settings["HARDEN_PGBOUNCER_DSN"]) if settings["HARDEN_PGBOUNCER_DSN"] else None
        self.recorder = Recorder(self.folder)
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._pid = -1
        self._stopped = threading.Event()
        self._guard = threading.Lock()  # one thread of a process begins, and one looks at a time
        self._figures = WorkerFigures(self.recorder)

    def after_fork(self) -> None:
        """In a forked child: begin anew at the first figure."""
        if self.console is not None:
            self.console.after_fork()
        self.recorder.forget_parent()
        self._start_afresh()

    def begin(self) -> None:
        """Be a worker: show that there is one, and start its thread. A second call does nothing."""
        if self._pid == os.getpid():
            return
        with self._guard:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self.recorder.begin()
            self._stopped = threading.Event()
            run = threading.Thread(target=self._run, args=(self._stopped,), name="metrics", daemon=True)
            run.start()

    def stop(self) -> None:
        """End the thread; the figures so far stay, and `begin` goes on with them."""
        self._stopped.set()
        self._pid = -1

    def look(self) -> None:
        """Look at the pools and the process now."""
        self.begin()
        self._look()

    def _look(self) -> None:
        request_end.flush()
        with self._guard:
            self._figures.look()
        board = self.recorder.board
        path = None if board is None or self.folder.path is None else board.path
        is_alone = path is None or not path.exists()  # a cleaner of old files may have taken it, or the folder
        self.recorder.put("harden_metrics_alone", (), (float(is_alone),))

    def read(self) -> Totals:
        """Return the figures of all workers, and this one's as of now."""
        try:
            self.look()
        except Exception:  # the figures of a second ago are better than none
            _trouble.warning("looking at the pools for a page of /metrics failed; the log has more")
        return totals.read_all(self.folder, self.recorder.board)

    def ended(self, event: RequestsEnded) -> None:
        """Count some requests, or a block that no request is around."""
        if self._pid != os.getpid():
            self.begin()
        for request in event.requests:
            if request.kind == "request" and not request.is_counted:
                _, method, route, status, seconds, queries, query_seconds, _ = request
                self.recorder.request(route, method, status, seconds, queries, query_seconds)
        self.recorder.statements(event.lines)

    def slow(self, event: SlowQuery) -> None:
        """Count a slow query, or one that the server ended."""
        self.begin()
        name = "harden_statement_timeouts" if event.is_timeout else "harden_slow_queries"
        self.recorder.add(name, (self.recorder.route(event.route),), 1.0)

    def repeated(self, event: Repeats) -> None:
        """Count a report of an N+1."""
        self.begin()
        labels = (self.recorder.route(event.route),)
        self.recorder.add("harden_repeats", labels, 1.0)
        self.recorder.add("harden_repeated_queries", labels, event.count)
        self.recorder.add("harden_repeated_query_seconds", labels, event.seconds)

    def _run(self, stopped: threading.Event) -> None:
        pid, number, has_failed = os.getpid(), 0, False
        # A thread that gevent made lives on in a forked child; the child has another one.
        while not stopped.is_set() and pid == os.getpid():
            try:
                if number == 0:
                    self.recorder.learn()
                if number % FOLD_EVERY == 0:
                    totals.fold(self.folder)
                self._look()
                self.recorder.admit()
            except Exception:
                if number % 600 == 0 or not has_failed:
                    log.exception("looking at the pools for /metrics failed; it is tried again")
                has_failed = True
            number += 1
            stopped.wait(EVERY)


current: Metrics | None = None
_made: dict[tuple[str | None, str | None], Metrics] = {}  # a board has one writer for as long as the process lives


def start(settings: Settings) -> None:
    """Count from now on. A second call goes on with what there is."""
    global current
    stop()
    key = settings["HARDEN_RUN_DIR"], settings["HARDEN_PGBOUNCER_DSN"]
    if not _made:
        os.register_at_fork(after_in_child=_after_fork)
    if key not in _made:
        _made[key] = Metrics(settings)
    current = _made[key]
    events.listen(RequestsEnded, current.ended)
    events.listen(SlowQuery, current.slow)
    events.listen(Repeats, current.repeated)


def stop() -> None:
    """Count no more."""
    global current
    if current is None:
        return
    events.unlisten(RequestsEnded, current.ended)
    events.unlisten(SlowQuery, current.slow)
    events.unlisten(Repeats, current.repeated)
    current.stop()
    current = None


def begin() -> None:
    """Be a worker from now on, and not only from the first request on; does nothing where metrics are off."""
    if current is not None:
        current.begin()


def _after_fork() -> None:
    for each in _made.values():
        each.after_fork()
