"""The figures of all workers as one, for whoever answers: `/ops/data.json`.

This process's own figures are of this moment, those of the others what they wrote last. Of workers that ended, the
counts of the last hour stay and the gauges go. A file that is no snapshot, whole and of a sensible size, is passed
over. Must not import Flask. If this is wrong, the page shows one worker for all, or ghosts.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import ops_data
from .ops_merge import VERSION, Row, Totals, number, service_of, shown_queries, shown_routes, shown_series
from .ops_publish import KEEP_DEAD, KIND, Publisher, age
from .run_folder import WorkerFile

log = logging.getLogger(__name__)
MOST_BYTES = 2_000_000  # of a file that is looked at; ours are half of that
MOST_ENDED = 500  # files of dead workers that one look reads at most
KEEP_ANSWER = 0.5  # seconds; however many look, one of them pays
STALE_AFTER = 30.0  # seconds; a worker writes every ten
SLICE = 600.0  # seconds; dead workers are summed up by when they ended, and forgotten in such slices
SUMMED = ("in_flight", "rss_bytes", "threads", "open_files", "used", "idle", "maxconn", "waiting")
GAUGES = (*SUMMED, "oldest_request", "uptime")
ALONE = (
    "Only the worker that answered is shown, for there is no run folder where the workers share their figures; "
    "set HARDEN_RUN_DIR, or start Gunicorn with deploy/gunicorn.conf.py."
)


class View:
    """All workers' figures as one process sees them; safe in threads.

    Args:
        publisher: of this process.
        bouncer: returns PgBouncer's figures; None where there is none to ask.
    """

    def __init__(self, publisher: Publisher, bouncer: Callable[[], Row] | None = None) -> None:
        self._publisher, self._bouncer = publisher, bouncer
        self._lock = threading.Lock()  # held while files are read: who comes meanwhile gets the same answer
        self._answer: tuple[float, bytes] = (float("-inf"), b"")
        self._ended = Ended()
        self._refused: set[str] = set()

    def answer(self) -> bytes:
        """Return the data as JSON, at most half a second old."""
        with self._lock:
            when, body = self._answer
            if time.monotonic() - when > KEEP_ANSWER:
                body = json.dumps(self.data(), separators=(",", ":")).encode()
                self._answer = time.monotonic(), body
            return body

    def data(self) -> Row:
        """Return the data; docs/ops.md has its shape."""
        self._publisher.want()
        folder = self._publisher.folder
        now = time.time()
        snapshots = [ops_data.snapshot(folder.worker)]
        totals = Totals()
        totals.add(snapshots[0])
        files = folder.files(KIND)
        for file in files:
            if file.worker != folder.worker and file.is_alive:
                snapshots += self._read(file, totals.add)
        self._ended.read(files, now, self._read)
        self._ended.add_to(totals)
        return {
            **merged(snapshots, totals, now, folder.path is not None), "ended_workers": len(self._ended.seen),
            "pgbouncer": self._bouncer() if self._bouncer is not None else None,
        }  # fmt: skip

    def _read(self, file: WorkerFile, add: Callable[[Row], None]) -> list[Row]:
        """Return a worker's snapshot in a list, after adding it; an empty one when it is none."""
        try:
            snapshot = read(file.path)
            _gauges(snapshot)
            add(snapshot)
            return [snapshot]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:
            if file.worker not in self._refused and len(self._refused) < 100:
                self._refused.add(file.worker)
                log.warning("the figures of worker %s are not shown: %s", file.worker, error)
            return []


class Ended:
    """The counts of workers that ended within the last hour; each file is read once."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}  # worker: when it ended, in slices
        self._slices: dict[int, Totals] = {}

    def read(self, files: list[WorkerFile], now: float, read: Callable[..., list[Row]]) -> None:
        """Take in what is new, and forget what is old."""
        oldest = int((now - KEEP_DEAD) // SLICE)
        self.seen = {worker: place for worker, place in self.seen.items() if place >= oldest}
        self._slices = {place: totals for place, totals in self._slices.items() if place >= oldest}
        new = [file for file in files if not file.is_alive and file.worker not in self.seen]
        for file in new[-MOST_ENDED:]:
            place = int(max(0.0, now - age(file.path)) // SLICE)
            if place >= oldest:
                self.seen[file.worker] = place
                read(file, self._slices.setdefault(place, Totals()).add)

    def add_to(self, totals: Totals) -> None:
        """Add them all."""
        for ended in self._slices.values():
            totals.add(ended.snapshot())


def read(path: Path) -> Row:
    """Return the snapshot in a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        body = file.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ValueError(f"{path.name} is larger than {MOST_BYTES} bytes")
    try:
        snapshot = json.loads(body)
    except ValueError:
        raise ValueError(f"{path.name} is no JSON") from None
    if not isinstance(snapshot, dict):
        raise ValueError(f"{path.name} is no snapshot")
    return snapshot


def merged(snapshots: list[Row], totals: Totals, now: float, is_shared: bool) -> Row:
    """Return what is shown of workers that live and of everybody's sums."""
    workers = sorted((_worker(snapshot, now) for snapshot in snapshots), key=lambda row: row["pid"])
    service = {
        "workers": len(workers), **service_of(totals, now),
        **{name: sum(row[name] for row in workers) for name in SUMMED},
        "oldest_request": max((row["oldest_request"] for row in workers), default=0.0),
    }  # fmt: skip
    return {
        "version": VERSION, "now": now, "scope": "service" if is_shared else "worker",
        "note": "" if is_shared else ALONE, "service": service, "series": shown_series(totals, now),
        "workers": workers, "pools": _pools(snapshots), "routes": shown_routes(totals),
        "queries": shown_queries(totals), "incidents": totals.sorted_rows("incidents"),
        "slow": totals.sorted_rows("slow"),
    }  # fmt: skip


def _gauges(snapshot: Row) -> Row:
    """Return a worker's gauges; what it cannot tell, such as open files off Linux, is 0.

    Raises:
        ValueError: they are none.
    """
    try:
        if not isinstance(snapshot["pools"], list) or not isinstance(snapshot["worker"], str):
            raise ValueError("not a snapshot of this kit")
        times = {name: number(snapshot[name]) for name in ("pid", "when", "started")}
        return {**times, **{name: number(snapshot["gauges"][name] or 0) for name in GAUGES}}
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a snapshot of this kit ({type(error).__name__})") from None


def _worker(snapshot: Row, now: float) -> Row:
    row = {"worker": snapshot["worker"], **_gauges(snapshot)}
    counts: dict[str, Any] = snapshot["counts"]
    return {
        **row, "requests": int(counts["requests"]), "errors": int(counts["errors"]),
        "cpu_seconds": counts["cpu_seconds"], "health": str(snapshot["gauges"].get("health", ""))[:200],
        "is_stale": now - row["when"] > STALE_AFTER,
    }  # fmt: skip


def _pools(snapshots: list[Row]) -> list[Row]:
    """Return all pools, those where somebody waits first, then the fullest."""
    pools = [
        {"worker": snapshot["worker"], "pid": snapshot["pid"], "number": place, **pool}
        for snapshot in snapshots
        for place, pool in enumerate(snapshot["pools"])
        if isinstance(pool, dict)
    ]
    return sorted(pools, key=lambda pool: (-pool.get("waiting", 0), -pool.get("used", 0), pool["pid"]))
