"""Makes a vendored copy, and the files beside it that are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..atomic import WriteError, write_bytes_atomically
from ..errors import CommandError
from . import copy, manifest, slices, swap
from .beside import Beside, beside
from .place import Place, place


@dataclass(frozen=True)
class Made:
    """What was made, or would be.

    Attributes:
        files: Of the copy; none when it was there already.
        beside: The files beside it, those that were left alone included.
    """

    place: Place
    files: Mapping[str, bytes]
    beside: tuple[Beside, ...]

    @property
    def paths(self) -> list[str]:
        """Return what was written, relative to the repository."""
        written = [each.path for each in self.beside if each.data is not None]
        return [*([self.place.folder] if self.files else []), *written]

    def text(self, verb: str = "is") -> str:
        """Return what is told, a line each."""
        folder, version = self.place.folder, manifest.version()
        lines = [f"{folder}/ is the kit {version} already"]
        if self.files:
            size = sum(map(len, self.files.values())) / 1e3
            lines = [f"{folder}/ {verb} the kit {version}: {len(self.files)} files, {size:.0f} kB"]
        for each in self.beside:
            lines.append(f"{each.path} {verb} written: {each.told}" if each.data is not None else
                         f"{each.path} {each.told}")  # fmt: skip
        return "\n".join(lines)


def planned(root: Path, into: str, parts: tuple[str, ...], *, has_files: bool) -> Made:
    """Return what a copy would come to; nothing is written.

    Args:
        root: The repository.
        into: The copy's folder in it.
        parts: The slices.
        has_files: Whether the files beside it are made as well.

    Raises:
        CommandError: The place is taken, or a copy of another version or slice is there.
    """
    swap.recover(root / into)
    target = place(root, into)
    if (target.path / manifest.NAME).exists():
        _check_same(target, parts)
        files: dict[str, bytes] = {}
    else:
        files = copy.delivered(parts, target.package)
    others = beside(target) if has_files and parts == (slices.ALL,) else ()
    return Made(target, files, tuple(others))


def make(made: Made) -> None:
    """Write what was planned.

    Raises:
        CommandError: A file cannot be written.
    """
    if made.files:
        swap.put(made.place.path, made.files)
    for each in made.beside:
        if each.data is not None:
            try:
                write_bytes_atomically(made.place.root / each.path, each.data)
            except WriteError as error:
                raise CommandError(str(error)) from None


def _check_same(target: Place, parts: tuple[str, ...]) -> None:
    told = manifest.read(target.path)
    if told.version != manifest.version():
        raise CommandError(
            f"{target.folder} is version {told.version} and this kit {manifest.version()}; take --upgrade"
        )
    if told.slices != parts:
        raise CommandError(
            f"{target.folder} is the slice {','.join(told.slices)}; name another folder with --into"
        )
