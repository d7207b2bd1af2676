"""All workers' figures together, and what is kept of workers that have ended.

A dead worker's counters are added to one file, `past`, and its board is deleted. The file names the workers that
it contains: whoever reads skips their boards, so that a crash between the two loses nothing and doubles nothing.
Gauges die with their worker. The file is replaced as a whole, by one process at a time.
Must not import Flask or the pool. If this is wrong, totals jump when a worker is restarted.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import board
from .board import Series
from .metric_names import BY_NAME, OTHER, SCHEMA, Metric
from .run_folder import RunFolder, WorkerFile
from .summed_log import SummedLog

_trouble = SummedLog(logging.getLogger(__name__), 600.0)  # it comes back at each scrape
KIND, PAST, LOCK = "metrics", "past", "past.lock"
ENDS, MARK = "harden_worker_ends", "harden_worker_leaving"  # the mark is 1 on the board of who leaves in peace
HOW = ("exit", "killed")
LOOKS = 5  # at a file that is replaced while it is read
Key = tuple[str, tuple[str, ...]]  # metric, values of its labels


@dataclass
class Totals:
    """Figures by metric and labels; counters and histograms added up, gauges added up or the worst of them."""

    values: dict[Key, list[float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)  # sets of labels by metric

    def add(self, series: Series) -> None:
        """Add a series of one worker; one that is not in the table is left out."""
        metric = BY_NAME.get(series.metric)
        if metric is None or (metric.cells, len(metric.labels)) != (len(series.values), len(series.labels)):
            return
        known = self.values.get((metric.name, series.labels))
        if known is None:
            known = self._new(metric, series.labels)
        for at, value in enumerate(series.values):
            known[at] = max(known[at], value) if metric.worst else known[at] + value

    def _new(self, metric: Metric, labels: tuple[str, ...]) -> list[float]:
        count = self.counts.get(metric.name, 0)
        if count >= metric.most:
            labels = (OTHER,) * len(metric.labels)
        self.counts[metric.name] = count + 1
        return self.values.setdefault((metric.name, labels), [0.0] * metric.cells)

    def series(self) -> list[Series]:
        """Return them one by one."""
        return [Series(metric, labels, tuple(values)) for (metric, labels), values in self.values.items()]


@dataclass(frozen=True)
class _Past:
    workers: frozenset[str]
    series: tuple[Series, ...]


def read_all(folder: RunFolder, own: board.Board | None) -> Totals:
    """Return the figures of all workers, those that have ended included.

    Args:
        folder: where the others' are.
        own: this process's board, which may be seen by nobody else.
    """
    for look in range(LOOKS):
        before = _identity(folder)
        past = _readable_past(folder)
        totals = Totals()
        for series in past.series:
            totals.add(series)
        # By name, the own one among them: whoever answers, the same labels are those that there was room for.
        files = folder.files(KIND)
        for file in files:
            if file.worker not in past.workers:
                _add_worker(totals, file)
        if own is not None and own.path not in {file.path for file in files}:
            _add(totals, own.read(), is_alive=True)
        if _identity(folder) == before or look == LOOKS - 1:
            return totals
    raise AssertionError("unreachable")


def fold(folder: RunFolder) -> None:
    """Add up what dead workers left, and delete their boards. Returns at once when somebody else is at it."""
    path = folder.path
    dead = [] if path is None else [file for file in folder.files(KIND) if not file.is_alive]
    if path is None or not dead:
        return
    try:
        with _alone(path / LOCK) as is_mine:
            if is_mine:
                _fold(folder, path)
    except OSError as error:  # full, or read-only by now: their boards stay, and are read one by one
        _trouble.warning(f"cannot add up the figures of workers that ended: {error}")


def _fold(folder: RunFolder, path: Path) -> None:
    past, totals = _past(folder), Totals()
    for series in past.series:
        totals.add(series)
    dead = [file for file in folder.files(KIND) if not file.is_alive]
    for file in dead:
        if file.worker not in past.workers:
            _add_worker(totals, file)
    _replace(path / PAST, _Past(frozenset(file.worker for file in dead), tuple(totals.series())))
    for file in dead:  # these and no others: who died meanwhile has not been added
        folder.remove(file)
    folder.remove_locks()


def _add_worker(totals: Totals, file: WorkerFile) -> None:
    _add(totals, board.read(file.path, SCHEMA) or [], file.is_alive)


def _add(totals: Totals, found: Iterable[Series], is_alive: bool) -> None:
    how, is_worker = "killed", False
    for series in found:
        is_worker = True
        metric = BY_NAME.get(series.metric)
        if series.metric == MARK:
            how = "exit" if series.values[0] else how
        elif is_alive or (metric is not None and metric.kind != "gauge"):
            totals.add(series)
    for each in HOW if is_worker else ():  # both are there from the start, as 0: else the first one is no increase
        totals.add(Series(ENDS, (each,), (float(not is_alive and each == how),)))


def _past(folder: RunFolder) -> _Past:
    """Return what is kept.

    Raises:
        OSError: it is there and cannot be read, so that it must not be replaced either.
    """
    empty = _Past(frozenset(), ())
    if folder.path is None:
        return empty
    try:
        data = json.loads((folder.path / PAST).read_bytes())
        if data["schema"] != SCHEMA.hex():
            return empty  # of a release with other metrics
        series = tuple(Series(name, tuple(labels), tuple(values)) for name, labels, values in data["series"])
        return _Past(frozenset(data["workers"]), series)
    except FileNotFoundError:
        return empty
    except (ValueError, TypeError, KeyError) as error:
        _trouble.warning(f"cannot read the figures of workers that ended, in {folder.path / PAST}: {error}")
        return empty


def _readable_past(folder: RunFolder) -> _Past:
    try:
        return _past(folder)
    except OSError as error:
        _trouble.warning(f"cannot read the figures of workers that ended: {error}")
        return _Past(frozenset(), ())


def _replace(path: Path, past: _Past) -> None:
    data = {
        "schema": SCHEMA.hex(), "workers": sorted(past.workers),
        "series": [[series.metric, series.labels, series.values] for series in past.series],
    }  # fmt: skip
    partial = path.with_name(f"{PAST}.new")  # one process at a time: the lock is held
    try:
        partial.write_text(json.dumps(data))
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _identity(folder: RunFolder) -> tuple[int, int, int] | None:
    if folder.path is None:
        return None
    try:
        found = (folder.path / PAST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold a lock between processes; yields whether it was free."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(lock)
