"""The two sides' files: a revision of the repository and its working tree, each copied to a folder of its own.

Writes to the folders alone. `git archive` reads the object store without an index or a work tree, so the
repository stays untouched even while somebody works in it.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from ..errors import CommandError

JUNK = shutil.ignore_patterns(
    ".git", ".hg", ".venv", "venv", "env", "node_modules", "__pycache__", "*.pyc", ".tox", ".mypy_cache",
    ".pytest_cache", ".ruff_cache",
)  # fmt: skip


def is_repository(path: Path) -> bool:
    """Tell whether git knows the folder as part of a repository."""
    return _git(path, "rev-parse", "--is-inside-work-tree").returncode == 0


def copy_before(path: Path, against: str, into: Path) -> str:
    """Copy the older version; returns how it is called.

    Args:
        path: the repository's folder.
        against: a folder, or a revision that git knows.
        into: does not exist yet.

    Raises:
        CommandError: there is neither such a folder nor such a revision.
    """
    if Path(against).is_dir():
        shutil.copytree(against, into, ignore=JUNK, symlinks=True)
        return against
    if not is_repository(path):
        raise CommandError(f"{path} is no git repository; give --against the folder of the older version")
    revision = _git(path, "rev-parse", "--verify", "--quiet", "--short", f"{against}^{{commit}}")
    if revision.returncode:
        raise CommandError(f"{path} has no revision {against!r}, and there is no such folder; see git log")
    archive = _git(path, "archive", "--format=tar", against, ".")
    if archive.returncode:
        raise CommandError(f"git archive {against} failed: {archive.stderr.decode(errors='replace').strip()}")
    into.mkdir(parents=True)
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(into, filter="tar") if hasattr(tarfile, "tar_filter") else files.extractall(into)
    short = revision.stdout.decode().strip()
    return f"{against} ({short})" if short != against else short


def copy_after(path: Path, into: Path) -> str:
    """Copy the working tree, without what git ignores; returns how it is called."""
    if not is_repository(path):
        shutil.copytree(path, into, ignore=JUNK, symlinks=True)
        return str(path)
    listed = _git(path, "ls-files", "-z", "--cached", "--others", "--exclude-standard", ".")
    into.mkdir(parents=True)
    for name in filter(None, listed.stdout.decode(errors="surrogateescape").split("\0")):
        source, target = path / name, into / name
        if source.is_file() or source.is_symlink():  # a listed file may be deleted by now
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return "the working tree"


def copy_extra(path: Path, names: list[str], folders: list[Path]) -> None:
    """Copy files that git ignores, and that the app needs, to both sides.

    Raises:
        CommandError: one of them is not there.
    """
    for name in names:
        source = path / name
        if not source.is_file():
            raise CommandError(f"{source} does not exist; correct `copy` in the recipe")
        for folder in folders:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)


def _git(path: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    # No locks: `git status`-like refreshing would write the index of somebody's repository.
    return subprocess.run(
        ["git", "--no-optional-locks", "-C", str(path), *arguments], capture_output=True, stdin=subprocess.DEVNULL
    )
