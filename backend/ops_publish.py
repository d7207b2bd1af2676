"""Each worker writes its figures to the run folder, so that any worker can show those of all.

One daemon thread per worker: it looks once a second whether somebody is looking, writes then, and every ten
seconds otherwise. A file appears whole or not at all. In a forked child it starts anew with the first request.
Without a run folder there is no thread, and nothing to write. Must not import Flask.
If this is wrong, a worker is missing on the page; requests are served all the same.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from . import events, ops_data, request_end
from .events import Repeats, RequestsEnded, SlowQuery
from .ops_seen import seen
from .query_table import query_table
from .run_folder import RunFolder, open_folder
from .settings import Settings

log = logging.getLogger(__name__)
KIND = "page"
WANTED = "page.wanted"  # touched by who looks; no worker's file, for anybody may be the one
EVERY, UNWATCHED = 1.0, 10.0  # seconds between two snapshots while somebody looks, and while nobody does
LOOKS_FOR = 10.0  # seconds that one look counts as looking
KEEP_DEAD = 3600.0  # seconds that the last words of a dead worker are kept
MOST_DEAD = 200  # of them: under load, workers that end after so many requests would fill the memory otherwise


class Publisher:
    """Writes the snapshots of one process."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._pid = 0
        self._lock = threading.Lock()  # guards the start of the thread, and a file's writing

    def after_fork(self) -> None:
        """In a forked child: the thread is the parent's, and the lock may have been held."""
        self._pid, self._lock = 0, threading.Lock()

    def arrived(self, _: RequestsEnded) -> None:
        """Start the thread where workers were forked: at their first request."""
        self.ensure()

    def ensure(self) -> None:
        """Start the thread if this process has none yet; costs next to nothing when it has."""
        pid = os.getpid()
        if self._pid == pid or self.folder.path is None:
            return
        with self._lock:
            if self._pid == pid:
                return
            self._pid = pid
        atexit.register(self._last_words, pid)
        try:
            threading.Thread(target=self._run, name="harden-ops", daemon=True).start()
        except RuntimeError as error:  # a request may be waiting for this
            log.error("no thread for the ops page (%s); the other workers do not show this one", error)

    def publish(self) -> None:
        """Write this process's figures.

        Raises:
            OSError: the folder is full, or gone; it may be better the next time.
        """
        path = self.folder.path_of(KIND)
        if path is not None:
            with self._lock:
                write(path, ops_data.encoded(ops_data.snapshot(self.folder.worker)))

    def want(self) -> None:
        """Say that somebody looks."""
        if self.folder.path is not None:
            try:
                (self.folder.path / WANTED).touch(mode=0o600)
            except OSError as error:
                log.debug("nobody hears that somebody looks: %s", error)

    def _run(self) -> None:
        due, has_failed = 0.0, False
        self._clear_away()
        while self.folder.path is not None:
            if time.monotonic() >= due or self._is_wanted():
                try:
                    self.publish()
                except Exception as error:
                    if not has_failed:
                        has_failed = True
                        stack = not isinstance(error, OSError)
                        log.error("no figures for the ops page (this is logged once): %s", error, exc_info=stack)
                due = time.monotonic() + UNWATCHED
            time.sleep(EVERY)

    def _is_wanted(self) -> bool:
        folder = self.folder.path
        return folder is not None and age(folder / WANTED) < LOOKS_FOR

    def _last_words(self, pid: int) -> None:
        if os.getpid() == pid:
            try:
                self.publish()
            except Exception:
                log.debug("no last words for the ops page", exc_info=True)

    def _clear_away(self) -> None:
        """Delete what workers have left that died long ago, or so many deaths ago."""
        dead = [(age(file.path), file) for file in self.folder.files(KIND) if not file.is_alive]
        dead.sort(key=lambda each: each[0])
        for place, (seconds, file) in enumerate(dead):
            if seconds > KEEP_DEAD or place >= MOST_DEAD:
                self.folder.remove(file)
        for partial in self.folder.path.glob(f"*.{KIND}.new") if self.folder.path is not None else ():
            if age(partial) > KEEP_DEAD:  # of who was killed while writing
                with suppress(OSError):
                    partial.unlink()


def age(path: Path) -> float:
    """Return the seconds since a file was written; one that is not there was so for ever ago."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")


def write(path: Path, body: bytes) -> None:
    """Put a file in its place at once.

    Raises:
        OSError: the folder is gone, full or not ours.
    """
    partial = path.with_name(f"{path.name}.new")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(body)
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)  # half of it would only fill what is full
        raise


def forget() -> None:
    """Forget what a child has inherited of its parent's figures."""
    seen.clear()
    query_table.lock = threading.Lock()
    query_table.clear()
    request_end.after_fork()


def _after_fork() -> None:
    forget()
    for publisher in _publishers.values():
        publisher.after_fork()


_publishers: dict[str | None, Publisher] = {}
_is_hooked = False


def publisher_of(settings: Settings) -> Publisher:
    """Return the publisher for the settings' run folder: one per folder and process."""
    where = settings["HARDEN_RUN_DIR"]
    return _publishers.setdefault(where, Publisher(open_folder(where)))


def start(settings: Settings) -> None:
    """Count requests, repeats and slow queries from now on, and publish them where there is a folder.

    The thread starts here, so that a worker that nobody has asked yet is on the page as well; but not where
    workers are forked later: there it starts with each worker's first request.
    """
    global _is_hooked
    if not _is_hooked:
        _is_hooked = True
        os.register_at_fork(after_in_child=_after_fork)
    publisher = publisher_of(settings)
    events.listen(RequestsEnded, publisher.arrived)
    events.listen(RequestsEnded, seen.add_requests)
    events.listen(SlowQuery, seen.add_slow)
    events.listen(Repeats, seen.add_repeats)
    if not settings["HARDEN_PRELOAD"]:
        publisher.ensure()


def begin() -> None:
    """Be on the page from now on: for a server's hook that runs in each worker after a fork."""
    for publisher in _publishers.values():
        publisher.ensure()


def stop() -> None:
    """Count no more. Threads end with the process: they are few, and asleep."""
    for publisher in _publishers.values():
        events.unlisten(RequestsEnded, publisher.arrived)
    events.unlisten(RequestsEnded, seen.add_requests)
    events.unlisten(SlowQuery, seen.add_slow)
    events.unlisten(Repeats, seen.add_repeats)
