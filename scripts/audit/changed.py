"""`--diff-base REV`: the code as it stood at a revision, in a folder of its own.

The blobs are written by us, not by a checkout: no hook, filter or attribute of the audited repository gets to run,
its working tree and index stay as they are, and no path leaves the folder.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..errors import CommandError
from .evidence.tracked import SAFE
from .model.reading import OTHER_LARGEST

DEADLINE = 120.0  # seconds; for the blobs of a large repository


@contextmanager
def at_revision(path: Path, revision: str) -> Iterator[Path]:
    """Give a folder or a file as it stood at a revision; it may be missing there.

    Raises:
        CommandError: There is no git repository around the path, or no such revision in it.
    """
    folder = path if path.is_dir() else path.parent
    _git(
        folder,
        f"{path} is in no git repository, so --diff-base has nothing to compare with",
        "rev-parse",
        "--git-dir",
    )
    unknown = f"git knows no revision {revision!r} here; fetch it first (a shallow clone has only the last)"
    commit = _git(
        folder, unknown, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    with tempfile.TemporaryDirectory(prefix="harden-audit-") as temporary:
        base = Path(temporary) / "base"
        base.mkdir()
        _write(folder, commit.decode().strip(), base)
        yield base if path.is_dir() else base / path.name


def _write(folder: Path, commit: str, base: Path) -> None:
    """Write what the audit could read of a commit below the folder that git is asked in."""
    failed = f"git cannot read {commit[:12]}; try: git fsck"
    # From inside a folder, ls-tree lists what is below it, with paths relative to it.
    listed = _git(folder, failed, "ls-tree", "-r", "-l", "-z", commit).decode("utf-8", "surrogateescape")
    wanted = [each for each in map(_blob, filter(None, listed.split("\0"))) if each]
    contents = _git(
        folder, failed, "cat-file", "--batch", said="".join(f"{name}\n" for name, _ in wanted).encode()
    )
    at = 0
    for _, path in wanted:
        end = contents.index(b"\n", at)
        size = int(contents[at:end].split()[-1])
        target = base / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents[end + 1 : end + 1 + size])
        at = end + size + 2


def _blob(entry: str) -> tuple[str, PurePosixPath] | None:
    """Return name and path of a regular file of a bearable size; links and submodules are not followed."""
    head, _, name = entry.partition("\t")
    mode, _, blob, size = head.split()
    path = PurePosixPath(name)
    if not mode.startswith("100") or int(size) > OTHER_LARGEST or path.is_absolute() or ".." in path.parts:
        return None
    return blob, path


def _git(folder: Path, problem: str, *arguments: str, said: bytes = b"") -> bytes:
    """Ask git.

    Raises:
        CommandError: It says no; with `problem` as the reason.
    """
    environ = {**os.environ, "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", *SAFE, "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, input=said, capture_output=True, timeout=DEADLINE, check=False, env=environ)
    except FileNotFoundError:
        raise CommandError("git is not installed; --diff-base needs it") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"git {arguments[0]} took more than {DEADLINE:g} s; give a smaller PATH") from None
    if done.returncode:
        raise CommandError(problem)
    return done.stdout
