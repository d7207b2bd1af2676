"""The labelled repositories' code at the labelled commits: from a folder of checkouts, or fetched when asked.

Nothing is fetched unless somebody asks, and only the one commit of each. Lines that are off by one make every
label a miss, so a checkout that is at another commit is refused.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import CommandError
from .labels import Repository

GITHUB = "https://github.com"
LONGEST = 300.0  # seconds for one repository


def cache_folder() -> Path:
    """Return where fetched repositories are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "harden" / "audit-corpus"


def present(repositories: Sequence[Repository], folder: Path, given: bool) -> dict[str, Path]:
    """Return each repository's folder.

    Args:
        folder: With a folder OWNER+NAME for each.
        given: Whether the user named the folder; otherwise it is the cache.

    Raises:
        CommandError: Some are missing, or at another commit.
    """
    found = {each.name: folder / each.folder for each in repositories}
    missing = [each for each in repositories if not found[each.name].is_dir()]
    if missing:
        hint = "check them out there" if given else "give --fetch to get them from GitHub, or --checkouts DIR"
        which = f"{missing[0].folder}{' and others' if len(missing) > 1 else ''}"
        raise CommandError(f"{len(missing)} of {len(found)} repositories are not in {folder} ({which}); {hint}")
    for each in repositories:
        commit = _commit(found[each.name])
        if commit not in (None, each.commit):
            text = f"{found[each.name]} is at {commit}; the labels are for {each.commit}, check that out"
            raise CommandError(text)
    return found


def fetch(repositories: Sequence[Repository], folder: Path, progress: Callable[[str], None]) -> None:
    """Fetch what the cache lacks.

    Raises:
        CommandError: git is missing, or GitHub cannot be reached.
    """
    if shutil.which("git") is None:
        raise CommandError("git is not installed; install it, or give --checkouts DIR")
    for each in repositories:
        target = folder / each.folder
        if not target.is_dir():
            progress(f"fetching {each.name}")
            _fetch(each, target)


def _fetch(repository: Repository, target: Path) -> None:
    """Fetch one commit; the folder appears when it is whole."""
    half = target.with_name(f"{target.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    _git(repository, half, "init", "--quiet")
    url = f"{GITHUB}/{repository.name}"
    _git(repository, half, "fetch", "--quiet", "--depth", "1", url, repository.commit)
    # No filter of somebody else's attributes may run here.
    _git(repository, half, "-c", "core.attributesFile=/dev/null", "checkout", "--quiet", repository.commit)
    half.rename(target)


def _git(repository: Repository, folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, env=environment, timeout=LONGEST,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        text = f"{repository.name} did not arrive within {LONGEST:.0f} s; try again, or give --checkouts DIR"
        raise CommandError(text) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        text = f"cannot fetch {repository.name}: {lines[-1]}; check the network, or give --checkouts DIR"
        raise CommandError(text)


def _commit(folder: Path) -> str | None:
    """Return a checkout's commit; None where it has no git of its own to ask."""
    head = folder / ".git" / "HEAD"
    try:
        text = head.read_text(encoding="ascii").strip()
        if not text.startswith("ref: "):
            return text
        return (folder / ".git" / text[5:]).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
