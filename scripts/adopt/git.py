"""The few things that adopting needs of git: a branch in a folder of its own, and commits on it.

The person's checkout is never touched: the branch is made in a work tree beside it. No hook of the repository
runs, for hooks may reformat what is to be reviewed, or ask. If this is wrong, somebody's uncommitted work is lost.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..audit.evidence.tracked import SAFE
from ..errors import CommandError

DEADLINE = 120.0  # seconds
QUIET = (*SAFE, "-c", "commit.gpgSign=false", "-c", "gc.auto=0")


@dataclass(frozen=True)
class Repository:
    """A git repository.

    Attributes:
        top: Its folder.
        inside: The audited folder, relative to it; "." for all of it.
    """

    top: Path
    inside: Path

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Run git and return what it prints.

        Raises:
            CommandError: It failed; with its last line.
        """
        return git(at or self.top, *arguments)


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints, without the white space at its end.

    Raises:
        CommandError: It is not installed, took too long, or failed; with its last line.
    """
    # What a hook or an editor that we run under has set would lead to another repository.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_"))
    }
    try:
        done = subprocess.run(
            ["git", *QUIET, *arguments],
            cwd=folder, capture_output=True, text=True, errors="replace", timeout=DEADLINE, check=False,
            env={**environment, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError:
        raise CommandError("git is not installed; apt install git") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"git {arguments[0]} took over {DEADLINE:.0f} s in {folder}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise CommandError(f"git {arguments[0]} failed in {folder}: {said}")
    return done.stdout.rstrip()


def repository_of(path: Path) -> Repository:
    """Return the repository around a folder.

    Raises:
        CommandError: There is none, or it has no commit, or what is there is not committed.
    """
    try:
        top = Path(git(path, "rev-parse", "--show-toplevel"))
    except CommandError:
        raise CommandError(f"{path} is in no git repository; git init, commit what is there, then again") from None
    try:
        git(top, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except CommandError:
        raise CommandError(f"{top} has no commit yet; commit what is there, then run this again") from None
    changed = git(top, "status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        raise CommandError(
            f"{len(changed)} changed file(s) in {top} are not committed ({changed[0].split()[-1]}, ...); the "
            "branch starts from the last commit and would miss them: commit or stash them first"
        )
    return Repository(top, path.resolve().relative_to(top.resolve()))


@contextmanager
def branch(repository: Repository, name: str) -> Iterator[Path]:
    """Give a work tree on a new branch that starts at HEAD; the branch stays when something was committed to it.

    Raises:
        CommandError: The branch is there already, or its name cannot be one.
    """
    start = repository.git("rev-parse", "HEAD")
    if repository.git("branch", "--list", name):
        raise CommandError(
            f"there is a branch {name} already; review it, or delete it (git branch -D {name}), or name another "
            "with --branch"
        )
    with tempfile.TemporaryDirectory(prefix="harden-adopt-") as temporary:
        folder = Path(temporary) / repository.top.name
        repository.git("worktree", "add", "--quiet", "-b", name, str(folder), start)
        try:
            yield folder
        finally:
            is_empty = repository.git("rev-parse", name) == start
            repository.git("worktree", "remove", "--force", str(folder))
            if is_empty:
                repository.git("branch", "-D", name)


def commit(folder: Path, subject: str, body: str, paths: Sequence[str] = ()) -> str:
    """Commit everything in a work tree; returns the commit's short name, "" when nothing has changed.

    Args:
        paths: What belongs to it even where a .gitignore says otherwise.
    """
    git(folder, "add", "--all")
    if paths:
        git(folder, "add", "--force", "--", *paths)
    if not git(folder, "status", "--porcelain"):
        return ""
    git(folder, "commit", "--quiet", "--no-verify", "-m", subject, "-m", body)
    return git(folder, "rev-parse", "--short", "HEAD")


def check_identity(folder: Path) -> None:
    """Make sure that commits can be made.

    Raises:
        CommandError: git does not know in whose name.
    """
    try:
        git(folder, "var", "GIT_COMMITTER_IDENT")
    except CommandError:
        raise CommandError(
            "git does not know who commits; git config --global user.name NAME and user.email ADDRESS, then again"
        ) from None
