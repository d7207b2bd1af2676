"""What a verb needs on a host, as one compressed tar: the kit, and the files of the command line.

What a release is made of is `deploy.host.source`'s to know, here as there. Secrets never are in it: they go beside
it, see `session.py`.
"""

from __future__ import annotations

import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from deploy.host import source
from deploy.host.errors import HostError

from ..errors import CommandError


class Bundle:
    """A tar that is being made; `with Bundle() as bundle:`.

    Attributes:
        file: where it is, a file without a name.
    """

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by `__exit__`
        self._tar = tarfile.open(fileobj=self.file, mode="w:gz", compresslevel=1)  # noqa: SIM115
        with tempfile.TemporaryDirectory(prefix="harden-bundle-") as folder:
            source.copy_kit(Path(folder) / "kit")
            self.add(Path(folder) / "kit", "kit")

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, path: Path, name: str) -> None:
        """Add a file, or a folder with all that is in it; everything becomes root's and readable.

        Raises:
            CommandError: it cannot be read.
        """
        try:
            for place, inside in _walk(path, name):
                self._add(place, inside)
        except OSError as error:
            raise CommandError(f"{error.filename or path} cannot be read: {error.strerror}") from None

    def add_source(self, found: source.Source, name: str, release: str) -> None:
        """Add what a release is made of.

        Args:
            found: the app's files.
            name: of their folder in the tar.
            release: the id that the release gets.

        Raises:
            CommandError: it cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="harden-bundle-") as folder:
            try:
                source.copy(found, Path(folder) / "app")
                source.mark(Path(folder) / "app", found, release)
            except HostError as error:
                raise CommandError(str(error)) from None
            self.add(Path(folder) / "app", name)

    def finish(self) -> None:
        """Bring its end to the file."""
        self._tar.close()
        self.file.flush()

    def _add(self, path: Path, name: str) -> None:
        status = path.lstat()
        info = tarfile.TarInfo(name)
        info.mtime = int(status.st_mtime)
        info.uname = info.gname = "root"
        info.mode = 0o755 if stat.S_ISDIR(status.st_mode) or status.st_mode & stat.S_IXUSR else 0o644
        if stat.S_ISREG(status.st_mode):
            info.size = status.st_size
            with path.open("rb") as stream:
                self._tar.addfile(info, stream)
        elif stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
            self._tar.addfile(info)
        elif stat.S_ISLNK(status.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
            self._tar.addfile(info)
        # What is left, a socket or a device, is nobody's source.


def _walk(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    yield path, name
    if path.is_dir() and not path.is_symlink():
        for entry in sorted(path.iterdir()):
            yield from _walk(entry, f"{name}/{entry.name}")
