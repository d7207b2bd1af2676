"""A repository as it is worked on: a copy in a temporary folder, of what the audit reads.

Python files are copied, all others are links to the real ones until they are written. The repository itself is
only read. If this is wrong, a fixer sees code that is not what would be written.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..audit.model.reading import listed

_ENDS = re.compile(rb"\r\n|\r|\n")


class Tree:
    """The files of the copy.

    Attributes:
        origin: The repository.
        root: The copy.
        before: What the changed files held at first; None for one that is new.
        lines: For each changed file the line of the repository's file that each of its lines comes from.
    """

    def __init__(self, origin: Path, root: Path) -> None:
        self.origin, self.root = origin, root
        self.before: dict[str, bytes | None] = {}
        self.lines: dict[str, list[int]] = {}

    def read(self, path: str) -> bytes | None:
        """Return a file as it is now; None when there is none."""
        for folder in (self.root, self.origin):
            try:
                return (folder / path).read_bytes()
            except FileNotFoundError:
                continue
        return None

    def is_ours(self, path: str) -> bool:
        """Whether a path stays in the repository and goes through no link."""
        return is_inside(self.origin, path)

    def write(self, path: str, data: bytes, lines: list[int]) -> None:
        """Give a file of the copy new bytes; `lines` says where each of its lines comes from."""
        self.before.setdefault(path, self.read(path))
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # it may be a link to the real one
        target.write_bytes(data)
        self.lines[path] = lines

    def line(self, path: str, line: int) -> int:
        """Return the line of the repository's file that a line of the copy comes from."""
        known = self.lines.get(path)
        if not known:
            return line
        return known[min(max(line, 1), len(known)) - 1]

    def snapshot(self) -> Mapping[str, tuple[bytes, list[int]]]:
        """Return the changed files as they are now, to go back to."""
        return {path: (self.read(path) or b"", list(self.lines[path])) for path in self.before}

    def restore(self, snapshot: Mapping[str, tuple[bytes, list[int]]]) -> None:
        """Go back to a snapshot."""
        for path in [each for each in self.before if each not in snapshot]:
            first = self.before.pop(path)
            del self.lines[path]
            (self.root / path).unlink(missing_ok=True)
            if first is not None:
                (self.root / path).write_bytes(first)
        for path, (data, lines) in snapshot.items():
            self.write(path, data, lines)


def is_inside(root: Path, path: str) -> bool:
    """Whether a relative path stays below a folder and goes through no link."""
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts:
        return False
    return not any(root.joinpath(*parts[:end]).is_symlink() for end in range(1, len(parts) + 1))


def numbered(data: bytes) -> list[int]:
    """Return the numbers of a file's lines: where each of them comes from when nothing is changed."""
    return list(range(1, len(_ENDS.findall(data)) + 2))


@contextmanager
def working_copy(origin: Path, exclude: Iterable[str] = ()) -> Iterator[Tree]:
    """Give a copy of a repository; it is gone afterwards.

    Raises:
        OSError: The folder cannot be read, or there is no space for the copy.
    """
    with tempfile.TemporaryDirectory(prefix="harden-fix-") as folder:
        root = Path(folder) / "copy"
        root.mkdir()
        real = origin.resolve()
        for path in listed(real, exclude):
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith(".py") and (real / path).stat().st_size < 2_000_000:
                _copied(real / path, target)
            else:
                target.symlink_to(real / path)
        yield Tree(real, root)


def _copied(source: Path, target: Path) -> None:
    try:
        target.write_bytes(source.read_bytes())
    except PermissionError:
        target.symlink_to(source)  # the audit reports it
