"""Compares files as they should be with files as they are: on this host, or in a folder that was rendered.

Knows modes and owners, and nothing of what files say. If this is wrong, a change by hand is not seen.
"""

from __future__ import annotations

import grp
import pwd
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.files import File
from deploy.host import putting, tree
from deploy.host.errors import HostError
from deploy.host.places import Places


@dataclass(frozen=True)
class Found:
    """A file as it is.

    Attributes:
        text: what it says.
        mode: permission bits.
        owner: user and group, as user:group.
        kind: "file", or what else is there.
    """

    text: str
    mode: int
    owner: str
    kind: str = "file"


@dataclass(frozen=True)
class Difference:
    """A file that differs.

    Attributes:
        path: on the host.
        words: how: "new", "gone", "changed", "mode 0644, not 0600", "owner a:b, not c:d", ...
        old, new: its text; "" where there is none.
        is_secret: whether neither may be shown.
    """

    path: str
    words: tuple[str, ...]
    old: str
    new: str
    is_secret: bool


class Unreadable(Exception):
    """A file is there and cannot be read; the argument is its path."""


Look = Callable[[str], "Found | None"]


def on_host(root: Path = Path("/")) -> Look:
    """Return what looks at a host's files; it raises Unreadable."""

    def look(path: str) -> Found | None:
        place = root / path.lstrip("/")
        try:
            seen = place.lstat()
            text = place.read_bytes().decode(errors="replace") if stat.S_ISREG(seen.st_mode) else ""
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            raise Unreadable(path) from None
        owner = f"{_name(pwd.getpwuid, seen.st_uid)}:{_name(grp.getgrgid, seen.st_gid)}"
        return Found(text, stat.S_IMODE(seen.st_mode), owner, _kind(seen.st_mode))

    return look


def among(files: Iterable[File]) -> Look:
    """Return what looks at files that were rendered."""
    there = {file.path: Found(file.text, file.mode, f"{file.owner}:{file.group}") for file in files}
    return there.get


def differences(files: Iterable[File], before: Iterable[File], look: Look) -> Iterator[Difference | Unreadable]:
    """Yield what differs, and what could not be read.

    Args:
        files: as they should be.
        before: as they were rendered for this host the last time: those that are no more have to go.
        look: finds a file by its path.
    """
    wanted = {file.path: file for file in files}
    gone = {file.path: file for file in before if file.path not in wanted}
    for path, file in sorted((wanted | gone).items()):
        try:
            found = look(path)
        except Unreadable as unreadable:
            yield unreadable
            continue
        difference = _gone(file, found) if path in gone else _difference(file, found)
        if difference is not None:
            yield difference


def applied(places: Places, kinds: Iterable[str]) -> tuple[File, ...]:
    """Return the files that were last written to a host; none where nothing was, or where that cannot be read."""
    folders = [putting.folder_of(places, kind) for kind in kinds]
    found: list[File] = []
    for folder in (places.current / "etc", *folders):
        try:
            if (folder / "manifest.json").exists():
                found += tree.load(folder)
        except (HostError, OSError):
            continue
    return tuple(found)


def _gone(file: File, found: Found | None) -> Difference | None:
    return Difference(file.path, ("gone",), found.text, "", file.is_secret) if found else None


def _difference(file: File, found: Found | None) -> Difference | None:
    if found is None:
        return Difference(file.path, ("new",), "", file.text, file.is_secret)
    words = tuple(_words(file, found))
    return Difference(file.path, words, found.text, file.text, file.is_secret) if words else None


def _words(file: File, found: Found) -> Iterator[str]:
    if found.kind != "file":
        yield f"{found.kind}, not a file"
        return
    if found.text != file.text:
        yield "changed"
    if found.mode != file.mode:
        yield f"mode {found.mode:04o}, not {file.mode:04o}"
    owner = f"{file.owner}:{file.group}"
    if found.owner != owner:
        yield f"owner {found.owner}, not {owner}"


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a device or socket"


def _name(look_up: Callable[[int], object], number: int) -> str:
    try:
        return str(look_up(number)[0])  # type: ignore[index]
    except KeyError:
        return str(number)


