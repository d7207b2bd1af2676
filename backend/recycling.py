"""Gunicorn's workers are replaced after so many requests: one at a time, the next when it is there again.

Workers that start together and share the load reach their number together. Measured with two at 430 requests a
second: nobody accepted for 2 s. Here the one that is due asks for its turn, and serves on until it has it.
Must not import Flask or the pool. If this is wrong, workers grow without end, or all of them are away at once.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from pathlib import Path
from typing import Any

from .run_folder import RunFolder, is_held

log = logging.getLogger(__name__)
NAME = "recycling"  # of the file that names who has the turn; empty for nobody
AGAIN = 50  # requests until a worker that did not get it asks again
LONGEST = 60.0  # seconds that a turn lasts at the most: a successor that never came must not end it for all
_has_turn = 0  # the process that has it: a forked child does not


def wait_for_turn(worker: Any, folder: RunFolder) -> None:
    """Put a worker's end off while another one is replaced; called before its last requests.

    Args:
        worker: Gunicorn's, whose `max_requests` is raised when it has to wait.
        folder: where the workers of a service see each other; one that is alone ends as Gunicorn has it.
    """
    global _has_turn
    if _has_turn == os.getpid():
        return
    if _taken(folder):
        _has_turn = os.getpid()
    else:
        worker.max_requests = worker.nr + worker.cfg.threads + AGAIN


def successor_began(folder: RunFolder) -> None:
    """End the turn of a worker that is gone: its successor serves."""
    if folder.path is None:
        return
    try:
        with _Turn(folder.path) as turn:
            if turn.holder and not turn.is_alive(folder.path):
                turn.write("")
    except OSError as error:
        log.debug("cannot end the turn of a worker: %s", error)


def _taken(folder: RunFolder) -> bool:
    if folder.path is None:
        return True
    try:
        with _Turn(folder.path) as turn:
            if turn.holder and turn.age <= LONGEST:
                return False
            turn.write(folder.worker)
            return True
    except BlockingIOError:
        return False
    except OSError as error:
        log.debug("cannot ask for a turn: %s", error)
        return True


class _Turn:
    """The file, locked against the others."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._file = os.open(folder / NAME, flags, 0o600)

    def __enter__(self) -> _Turn:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.holder = os.read(self._file, 200).decode("ascii", "replace")
            self.age = time.time() - os.fstat(self._file).st_mtime
        except OSError:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def is_alive(self, folder: Path) -> bool:
        """Tell whether the holder lives."""
        return is_held(folder / f"{self.holder}.lock")

    def write(self, worker: str) -> None:
        """Name another holder, "" for nobody."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, worker.encode("ascii"), 0)
