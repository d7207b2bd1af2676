"""Where a copy goes, and what it is imported as; refuses a place where it would stand in something's way."""

from __future__ import annotations

import keyword
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

from ..errors import CommandError
from .manifest import NAME

DEFAULT = "hardened"


@dataclass(frozen=True)
class Place:
    """A copy's folder.

    Attributes:
        root: The repository.
        folder: Relative to it, with slashes.
        package: What it is imported as, "hardened" or "app.hardened".
    """

    root: Path
    folder: str
    package: str

    @property
    def is_at_root(self) -> bool:
        """Whether it is imported from the repository's own folder, as what stands beside it does."""
        return self.package.replace(".", "/") == self.folder

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.root / self.folder


def place(root: Path, into: str) -> Place:
    """Return where a copy goes.

    Args:
        root: The repository.
        into: Its folder, relative to the repository, or inside it.

    Raises:
        CommandError: It is outside, its name cannot be imported or means something else, or something is there.
    """
    if not root.is_dir():
        raise CommandError(f"{root} is no folder; give the repository's")
    target = (root / into).resolve()
    if target == root.resolve() or not target.is_relative_to(root.resolve()):
        raise CommandError(f"--into {into} is not inside {root}; give a folder below it, such as {DEFAULT}")
    folder = target.relative_to(root.resolve()).as_posix()
    found = Place(root, folder, _package(root, folder))
    if not (found.path / NAME).exists():
        _check_free(found)
    return found


def find(root: Path) -> Place:
    """Return the copy that a repository has.

    Raises:
        CommandError: It has none, or several.
    """
    if not root.is_dir():
        raise CommandError(f"{root} is no folder; give the repository's")
    skipped = {".git", "node_modules", "venv", ".venv", "site-packages"}
    found = sorted(
        path.parent.relative_to(root).as_posix()
        for path in root.rglob(NAME)
        if not skipped.intersection(path.relative_to(root).parts)
    )
    if not found:
        raise CommandError(f"there is no vendored copy in {root}; make one: scripts/harden vendor {root}")
    if len(found) > 1:
        raise CommandError(f"there are {len(found)} copies: {', '.join(found)}; name one with --into")
    return place(root, found[0])


def _package(root: Path, folder: str) -> str:
    parts = list(PurePosixPath(folder).parts)
    for part in parts[-1:]:
        if not part.isidentifier() or keyword.iskeyword(part):
            raise CommandError(f"{part!r} cannot be imported; name the folder with letters, digits and _")
    names = [parts.pop()]
    while parts and (root.joinpath(*parts) / "__init__.py").is_file():
        names.insert(0, parts.pop())
    return ".".join(names)


def _check_free(found: Place) -> None:
    name = found.package.partition(".")[0]
    if found.path.exists() and (not found.path.is_dir() or any(found.path.iterdir())):
        raise CommandError(f"{found.path} is there already and no vendored copy; name another with --into")
    if found.path.is_symlink():
        raise CommandError(f"{found.path} is a link; name a folder with --into")
    if found.path.with_suffix(".py").exists():
        raise CommandError(f"{found.folder}.py is there already, and would be hidden; name another with --into")
    if "/" in found.folder:
        return
    if name in sys.stdlib_module_names:
        raise CommandError(f"{name!r} is a module of Python; imports of it would find the copy: name another")
    if name in _installed():
        raise CommandError(
            f"{name!r} is an installed package, which the copy would hide; name another with --into"
        )


def _installed() -> frozenset[str]:
    """Return what can be imported of what is installed, the kit's own packages aside."""
    return frozenset(metadata.packages_distributions()) - {"backend", "deploy", "scripts", "pgbouncer", "wsgi"}
