"""Puts rendered files where they belong, and has those who read them read them again.

Each file is replaced at once, all of them together are not: a power cut in the middle leaves some new and some
old, and the next run, which compares with what is there, does the rest. Knows no content.
"""

from __future__ import annotations

import fnmatch
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files import File
from . import durable
from .command import is_active, run
from .errors import HostError

# Users and folders come before what belongs to them or lies in them.
FIRST = ("/etc/sysusers.d/*", "/etc/tmpfiles.d/*")
DAEMON_RELOAD = "systemctl daemon-reload"
ROOT = Path("/")


@dataclass(frozen=True)
class Change:
    """A file that is not as it should be.

    Attributes:
        kind: "new", "changed" for its text, "mode" for its mode or owner alone, "gone" for one that has to go.
        file: as it should be, or for "gone" as it was rendered before.
        old: its present text; "" for none. Not to be shown where the file is secret.
    """

    kind: str
    file: File
    old: str = ""

    @property
    def path(self) -> str:
        """Return the file's path on the host."""
        return self.file.path


def differences(files: Sequence[File], before: Sequence[File] = (), root: Path = ROOT) -> list[Change]:
    """Return what differs between files as they should be and a host.

    Args:
        files: as they should be.
        before: as rendered by whoever wrote last; those that are no longer in `files` have to go.
        root: the host's root folder.

    Raises:
        HostError: a file cannot be read.
    """
    wanted = {file.path for file in files}
    gone = [file for file in before if file.path not in wanted and os.path.lexists(_place(root, file))]
    found = [_difference(root, file) for file in files]
    return [*(change for change in found if change), *(Change("gone", file) for file in gone)]


def apply(
    files: Sequence[File], before: Sequence[File] = (), root: Path = ROOT,
    say: Callable[[str], None] = lambda line: None,
) -> list[Change]:  # fmt: skip
    """Make a host's files what they should be; returns what was changed, none for a host that is so already.

    Args:
        files: as they should be.
        before: as in `differences`.
        root: the host's root folder; anything but "/" is written to and nothing is told to read it.
        say: takes a line for each change.

    Raises:
        HostError: a user is not there, a file cannot be written, or somebody refuses what was written. Call it
            again with the files of before to put them back.
    """
    changes = differences(files, before, root)
    first = [change for change in changes if _is_first(change.path)]
    rest = [change for change in changes if change not in first]
    for group in (first, rest):
        for change in group:
            _make(root, change, say)
        if root == ROOT:
            _reload(group)
    return changes


def take_over(files: Iterable[File]) -> None:
    """Have those who read files read them again: after a run that was killed between writing and that.

    Raises:
        HostError: one refuses.
    """
    _reload(Change("changed", file) for file in files)


def reloads(changes: Iterable[Change]) -> list[str]:
    """Return the commands that have changes taken over: systemd itself goes first, each command once."""
    # Who made users or folders of a file has nothing to do when it is gone.
    left = (change for change in changes if not (change.kind == "gone" and _is_first(change.path)))
    wanted = dict.fromkeys(change.file.reload for change in left if change.file.reload)
    return sorted(wanted, key=lambda command: command != DAEMON_RELOAD)


def _reload(changes: Iterable[Change]) -> None:
    for command in reloads(changes):
        words = shlex.split(command)
        # One that does not run reads its files when it starts.
        if words[:2] != ["systemctl", "reload"] or "*" in words[2] or is_active(words[2]):
            run(*words, timeout=180)


def _is_first(path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in FIRST)


def _difference(root: Path, file: File) -> Change | None:
    place = _place(root, file)
    try:
        found = place.lstat()
        if not stat.S_ISREG(found.st_mode):
            return Change("changed", file)
        old = place.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return Change("new", file)
    except OSError as error:
        raise HostError(f"{place} cannot be read: {error.strerror}; run as root") from None
    if old != file.text:
        return Change("changed", file, old)
    is_same = stat.S_IMODE(found.st_mode) == file.mode and (found.st_uid, found.st_gid) == _ids(file, found)
    return None if is_same else Change("mode", file, old)


def _make(root: Path, change: Change, say: Callable[[str], None]) -> None:
    place = _place(root, change.file)
    try:
        if change.kind == "gone":
            durable.remove(place)
            say(f"removed {change.path}")
            return
        if place.is_dir() and not place.is_symlink():
            raise HostError(f"{place} is a folder, where a file has to lie; move it away")
        place.parent.mkdir(parents=True, exist_ok=True)
        durable.replace(place, change.file.text, change.file.mode, _ids(change.file))
    except OSError as error:
        raise HostError(f"{place} cannot be written: {error.strerror}") from None
    say(f"wrote {change.path}")


def _place(root: Path, file: File) -> Path:
    return root / file.path.lstrip("/")


def _ids(file: File, found: os.stat_result | None = None) -> tuple[int, int]:
    """Return whose a file has to be; for somebody who is not root, who can give nothing away, their own."""
    if os.geteuid() != 0:
        return (found.st_uid, found.st_gid) if found else (os.geteuid(), os.getegid())
    try:
        return pwd.getpwnam(file.owner).pw_uid, grp.getgrnam(file.group).gr_gid
    except KeyError:
        if found is not None:
            return -1, -1  # whose it is cannot be right
        raise HostError(f"{file.path} is for {file.owner}:{file.group}, whom this host does not have") from None
