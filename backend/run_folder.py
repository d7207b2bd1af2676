"""A private folder in which the worker processes of one service show each other their figures.

Each worker has a name and files of its own, one per kind (`metrics`, `page`), and writes to no other. It holds a
lock on a file of its name for as long as it lives; the kernel drops it however the process ends, so a dead worker
is known as one whatever process ids say. Without a folder, or when it cannot be used, each worker is alone: that
is logged once and raised never.
The folder is for one machine: locks and shared memory do not work over a network. Must not import Flask or the
pool. If this is wrong, figures of one worker are shown for all, or somebody else's files are read.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import secrets
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)
_NAME = re.compile(r"((\d{1,10})-[0-9a-f]{8})\.([a-z_]{1,20})")
_KIND = re.compile(r"[a-z_]{1,20}")
_guard = threading.Lock()  # guards the table of folders and each folder's identity; only files are made under it
_folders: dict[str | None, RunFolder] = {}
_registered = False
TAKEN_AFTER = 60.0  # seconds in which a new worker has its lock, or never will


@dataclass(frozen=True)
class WorkerFile:
    """One worker's file of a kind.

    Attributes:
        worker: the worker's name, unique for ever.
        pid: its process id; of a dead worker it may be somebody else's by now.
        path: the file, written by that worker alone.
        is_alive: whether the worker lives.
    """

    worker: str
    pid: int
    path: Path
    is_alive: bool


@dataclass
class _Identity:
    """Who this process is in a folder: valid in the process `pid` alone."""

    pid: int
    worker: str
    lock: int | None  # a file descriptor; closing it in a child leaves the parent's lock alone


class RunFolder:
    """The folder as this process sees it.

    Attributes:
        path: the folder; None when this process is alone.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._identity: _Identity | None = None

    @property
    def worker(self) -> str:
        """This process's name, as `<pid>-<8 hex digits>`; a forked child has its own."""
        return self._me().worker

    def path_of(self, kind: str) -> Path | None:
        """Return where this worker's file of a kind belongs; None when it is alone.

        Args:
            kind: up to 20 lower-case letters; not "lock".
        """
        if kind == "lock" or not _KIND.fullmatch(kind):
            raise ValueError(f"{kind!r} is no kind of file; up to 20 letters a to z, and not 'lock'")
        worker = self._me().worker
        return None if self.path is None else self.path / f"{worker}.{kind}"

    def files(self, kind: str) -> list[WorkerFile]:
        """Return the files of a kind that there are, of all workers, dead ones too, by name."""
        me = self._me().worker
        return [
            WorkerFile(worker, pid, path, worker == me or self._is_alive(worker))
            for path, worker, pid, its_kind in self._entries()
            if its_kind == kind
        ]

    def remove(self, file: WorkerFile) -> None:
        """Delete a dead worker's file."""
        _unlink(file.path)

    def remove_locks(self) -> None:
        """Delete the locks of dead workers that have no other file."""
        entries = self._entries()
        needed = {worker for _, worker, _, kind in entries if kind not in ("lock", "new")} | {self._me().worker}
        for path, worker, _, kind in entries:
            is_left = kind == "lock" or (kind == "new" and _age(path) > TAKEN_AFTER)
            if is_left and worker not in needed and not is_held(path):
                _unlink(path)

    def alone(self, reason: object) -> None:
        """Use the folder no more: something there failed. Said once."""
        where, self.path = self.path, None
        if where is not None:
            log.warning("%s; this worker's figures stay its own; see HARDEN_RUN_DIR", _said(reason, where))

    def _me(self) -> _Identity:
        known = self._identity
        if known is not None and known.pid == os.getpid():
            return known
        with _guard:
            if self._identity is None or self._identity.pid != os.getpid():
                _forget_parent(self)
                self._identity = self._introduced()
            return self._identity

    def _introduced(self) -> _Identity:
        worker = f"{os.getpid()}-{secrets.token_hex(4)}"
        lock = None
        if self.path is not None:
            try:
                lock = _held(self.path, worker)
            except OSError as error:
                self.alone(error)
        return _Identity(os.getpid(), worker, lock)

    def _entries(self) -> list[tuple[Path, str, int, str]]:
        if self.path is None:
            return []
        try:
            names = sorted(path.name for path in self.path.iterdir())
        except OSError as error:
            self.alone(error)
            return []
        found = [(name, match) for name in names if (match := _NAME.fullmatch(name))]
        return [(self.path / name, match[1], int(match[2]), match[3]) for name, match in found]

    def _is_alive(self, worker: str) -> bool:
        return self.path is not None and is_held(self.path / f"{worker}.lock")


def open_folder(path: str | None) -> RunFolder:
    """Return the folder at a path, made when missing: one object per path and process.

    Args:
        path: the setting HARDEN_RUN_DIR; None is no folder, and the process alone.
    """
    global _registered
    with _guard:
        if path not in _folders:
            _folders[path] = RunFolder(_usable(path))
        if not _registered:
            _registered = True
            os.register_at_fork(after_in_child=_after_fork)
        return _folders[path]


def _usable(path: str | None) -> Path | None:
    if path is None:
        return None
    folder = Path(path).absolute()
    try:
        reason = _made(folder)
    except (OSError, ValueError) as error:
        reason = _said(error, folder)
    if reason:
        log.warning("%s; each worker's figures stay its own; set HARDEN_RUN_DIR to a folder of yours", reason)
        return None
    return folder


def _made(folder: Path) -> str:
    """Make the folder, or look at the one that is there; return what speaks against it, "" for nothing."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        pass
    found = folder.lstat()  # not stat: a link in a shared folder may lead anywhere
    if stat.S_ISLNK(found.st_mode):
        return f"{folder} is a symbolic link, which others may turn"
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is no folder"
    if found.st_uid != os.geteuid():
        return f"{folder} belongs to user {found.st_uid} and not to {os.geteuid()}, who serves"
    if found.st_mode & 0o022:
        return f"others can write to {folder} (mode {stat.S_IMODE(found.st_mode):o}, at most 755)"
    return ""


def _held(folder: Path, worker: str) -> int:
    """Take a worker's lock; it has its name only once it is held, so that nobody finds it free."""
    partial = folder / f"{worker}.new"
    lock = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        partial.rename(folder / f"{worker}.lock")
    except OSError:
        os.close(lock)
        _unlink(partial)
        raise
    return lock


def is_held(path: Path) -> bool:
    """Tell whether somebody lives who holds a lock; one that cannot be opened counts as held."""
    try:
        # Not blocking: somebody else may have put a pipe of that name into /dev/shm; opening it would never end.
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not disturb each other
        return False
    except OSError:
        return True
    finally:
        os.close(lock)


def _after_fork() -> None:
    """Let go of the parent's locks: they would say that it lives for as long as this child does."""
    global _guard
    _guard = threading.Lock()  # the old one may have been held at the fork
    for folder in _folders.values():
        _forget_parent(folder)


def _forget_parent(folder: RunFolder) -> None:
    known, folder._identity = folder._identity, None
    if known is not None and known.lock is not None:
        os.close(known.lock)


def _age(path: Path) -> float:
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0  # it has its name by now


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # read-only by now; the figures in it are worth nothing, but no trouble either
        log.debug("cannot delete %s: %s", path, error)


def _said(reason: object, folder: Path) -> str:
    detail = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
    return f"cannot use the folder {folder} ({detail})"
