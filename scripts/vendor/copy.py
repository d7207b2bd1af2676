"""A vendored copy: what is in it when it is delivered, and what people have done to it since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import manifest, slices
from .manifest import NAME, PRISTINE, Manifest

_ROOT = Path(__file__).resolve().parents[2]
OWN = (NAME, PRISTINE)
README = """\
# A copy of the runtime of {kit} {version}

It pools connections and watches queries; `from {package} import ...`. Made and upgraded by the kit:

    scripts/harden vendor PATH --status     what was changed here since
    scripts/harden vendor PATH --upgrade    the kit's version, merged with what was changed here

`{name}` has the hash of each file as it was delivered, `{pristine}` the files themselves, for the merge.
`python -m {package}.selftest` tries it; with DATABASE_URL against your database, in temporary tables.
"""


def delivered(chosen: tuple[str, ...], package: str) -> dict[str, bytes]:
    """Return all files of a copy, its manifest and its archive included.

    Args:
        chosen: The slices.
        package: What it is imported as.
    """
    files = slices.files(chosen)
    files["LICENSE"] = (_ROOT / "LICENSE").read_bytes()
    readme = README.format(
        kit=manifest.KIT, version=manifest.version(), package=package, name=NAME, pristine=PRISTINE
    )
    files["README.md"] = readme.encode()
    return sealed(files, files, chosen)


def sealed(files: Mapping[str, bytes], pristine: Mapping[str, bytes], chosen: tuple[str, ...]) -> dict[str, bytes]:
    """Return files with the manifest and the archive of what was delivered."""
    told = manifest.of(pristine, chosen)
    return {**files, NAME: told.text().encode(), PRISTINE: manifest.packed(pristine)}


@dataclass(frozen=True)
class State:
    """How a copy differs from what was delivered; paths, sorted."""

    manifest: Manifest
    edited: tuple[str, ...]
    deleted: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def is_pristine(self) -> bool:
        """Whether it is as it was delivered."""
        return not (self.edited or self.deleted or self.added)


def state(folder: Path) -> State:
    """Compare a copy with its manifest.

    Raises:
        CommandError: The folder is no vendored copy.
    """
    told = manifest.read(folder)
    there = contents(folder)
    edited = [
        name for name, known in told.files.items() if name in there and manifest.digest(there[name]) != known
    ]
    deleted = [name for name in told.files if name not in there]
    added = [name for name in there if name not in told.files]
    return State(told, tuple(sorted(edited)), tuple(sorted(deleted)), tuple(sorted(added)))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a copy by path, without what Python and the kit itself leave there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and "__pycache__" not in path.parts and name not in OWN:
            found[name] = path.read_bytes()
    return found
