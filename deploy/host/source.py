"""What goes into a release: a repository at one of its commits, or a plain folder; and the kit itself.

Runs git as the repository's owner: its configuration names programs, which must not run as root. Knows no release.
If this is wrong, a release has files that nobody committed, or others' secrets in a folder that all may read.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .command import ENVIRON
from .errors import HostError

KIT_ROOT = Path(__file__).resolve().parents[2]
KIT = ("deploy", "pgbouncer", "backend", "scripts", "wsgi.py", "setup.cfg", "LICENSE")
# Of a folder that is no repository: what is made from the rest, is another machine's, or is a secret.
LEFT_OUT = (
    ".git", ".hg", ".svn", "__pycache__", "*.pyc", ".venv", "venv", ".venv.lock", "node_modules", ".mypy_cache",
    ".pytest_cache", ".ruff_cache", ".hypothesis", ".harden-export", ".tox", ".nox", ".cache",
    ".idea", ".vscode", ".DS_Store",
)  # fmt: skip
SECRETS = (".env", ".env.*", "secrets.env")
NO_SECRETS = (".env.example", ".env.sample", ".env.template")
MADE = ("pyvenv.cfg", "harden-render.json")  # in folders that are an environment, or a host's rendered files
EXPORT = ".harden-export"  # in a copy of a commit's files, made elsewhere: which commit, and the release's id
RELEASE = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
COMMIT = re.compile(r"[0-9a-f]{40,64}|")
LONGEST = 600.0  # seconds that git or tar may take


@dataclass(frozen=True)
class Source:
    """An app's files, as they are to be released.

    Attributes:
        folder: where they are.
        commit: the commit's full id; "" for a folder that is no repository.
        stamp: eight hexadecimal digits that stand for the contents.
        warnings: what is not as it looks, a line each.
        exported: of a folder that is a copy of a commit's files, that commit.
        release: the id that it gets on every host; "" where there is but this one.
    """

    folder: Path
    commit: str
    stamp: str
    warnings: tuple[str, ...] = ()
    exported: str = ""
    release: str = ""

    @property
    def known_commit(self) -> str:
        """Return the commit that the files are of, whether or not its history is here; "" when nobody knows."""
        return self.commit or self.exported


def find(folder: Path, rev: str = "") -> Source:
    """Look at a folder.

    Args:
        folder: the app's.
        rev: of a repository, what to release instead of HEAD.

    Raises:
        HostError: there is none, git refuses, or a revision is asked of a folder that is no repository.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise HostError(f"{folder} is no folder; name the one with the app")
    if (folder / ".git").exists():
        return _of_repository(folder, rev)
    if rev:
        raise HostError(f"{folder} is no git repository, so it has no revision {rev}; leave --rev out")
    return _of_folder(folder)


def text_of(source: Source, path: str) -> str | None:
    """Return a file of the source; None when it has none of that path."""
    if source.commit:
        done = _git(source.folder, "show", f"{source.commit}:{path}", check=False)
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None
    place = source.folder / path
    return place.read_text(encoding="utf-8", errors="replace") if place.is_file() else None


def size(source: Source) -> int:
    """Return about how many bytes it takes on disk."""
    if not source.commit:
        return sum(path.lstat().st_size for path in _files(source.folder))
    listed = _git(source.folder, "ls-tree", "-r", "-l", source.commit).stdout.decode(errors="replace")
    sizes = (line.split("\t")[0].split()[-1] for line in listed.splitlines())
    return sum(int(each) for each in sizes if each.isdigit())


def copy(source: Source, target: Path) -> None:
    """Copy it into a new folder, root's and readable for all.

    Raises:
        HostError: it could not be copied.
    """
    target.mkdir(mode=0o755)
    if source.commit:
        _unpack(source, target)
        return
    for path in _files(source.folder):
        _copy_one(path, target / path.relative_to(source.folder))


def mark(folder: Path, found: Source, release: str) -> None:
    """Say in a copy for other hosts which commit it is of, and which id its release gets on each."""
    (folder / EXPORT).write_text(json.dumps({"commit": found.known_commit, "release": release}), encoding="utf-8")


def copy_kit(target: Path) -> None:
    """Copy the kit that runs, without what is made from it."""
    target.mkdir(mode=0o755)
    for name in KIT:
        place = KIT_ROOT / name
        for path in _files(place) if place.is_dir() else [place]:
            _copy_one(path, target / path.relative_to(KIT_ROOT))


def _of_repository(folder: Path, rev: str) -> Source:
    if rev.startswith("-"):
        raise HostError(f"{rev!r} is no revision")
    found = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev or 'HEAD'}^{{commit}}",
                 check=False)  # fmt: skip
    commit = found.stdout.decode().strip()
    if found.returncode or not commit:
        said = " ".join(found.stderr.decode(errors="replace").split())
        raise HostError(f"{folder} has no commit {rev or 'HEAD'}{f' ({said[:200]})' if said else ''}; see git log")
    source = Source(folder, commit, commit[:8])
    return replace(source, warnings=tuple(_warnings(source, rev)))


def _warnings(source: Source, rev: str) -> Iterator[str]:
    changed = _git(source.folder, "status", "--porcelain").stdout.splitlines()
    if changed and not rev:
        yield f"{len(changed)} files differ from commit {source.stamp}, which is released; commit them first"
    if text_of(source, ".gitmodules") is not None:
        yield "submodules are not in a release; what the app needs of them must be in its requirements"


def _of_folder(folder: Path) -> Source:
    digest = hashlib.sha256()
    for path in _files(folder):
        kind = "link" if path.is_symlink() else f"{path.lstat().st_mode & stat.S_IXUSR}"
        digest.update(f"{path.relative_to(folder)}\0{kind}\0".encode(errors="surrogateescape"))
        digest.update(os.fsencode(path.readlink()) if path.is_symlink() else _hash(path))
    left = sorted(path.name for path in folder.iterdir() if _is_secret(path.name))
    warnings = (f"{', '.join(left)} left out: secrets belong into the host's file of secrets",) if left else ()
    commit, release = _export(folder)
    return Source(folder, "", digest.hexdigest()[:8], warnings, commit, release)


def _export(folder: Path) -> tuple[str, str]:
    """Return commit and release of a copy that was made for this host; empty for any other folder."""
    try:
        told = json.loads((folder / EXPORT).read_text(encoding="utf-8"))
        commit, release = str(told["commit"]), str(told["release"])
    except FileNotFoundError:
        return "", ""
    except (OSError, ValueError, KeyError, TypeError):
        commit = release = "?"
    if not COMMIT.fullmatch(commit) or not RELEASE.fullmatch(release):
        raise HostError(f"{folder / EXPORT} cannot be read; remove it")
    return commit, release


def _hash(path: Path) -> bytes:
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.digest()


def _files(folder: Path) -> Iterator[Path]:
    """Yield files and links of a folder, in an order that is always the same."""
    for path in sorted(folder.iterdir()):
        if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in LEFT_OUT) or _is_secret(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            if not any((path / mark).exists() for mark in MADE):
                yield from _files(path)
        elif path.is_symlink() or path.is_file():
            yield path


def _is_secret(name: str) -> bool:
    return name not in NO_SECRETS and any(fnmatch.fnmatchcase(name, pattern) for pattern in SECRETS)


def _copy_one(path: Path, target: Path) -> None:
    for folder in reversed([each for each in target.parents if not each.exists()]):
        folder.mkdir()
        folder.chmod(0o755)
    shutil.copyfile(path, target, follow_symlinks=False)
    if not path.is_symlink():
        target.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)


def _unpack(source: Source, target: Path) -> None:
    archive = subprocess.Popen(
        _words("archive", "--format=tar", source.commit), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        **_as_owner(source.folder),
    )  # fmt: skip
    with archive:
        done = subprocess.run(
            ["tar", "--extract", "--no-same-owner", "--no-same-permissions", f"--directory={target}"],
            stdin=archive.stdout, capture_output=True, umask=0o022, env=ENVIRON, timeout=LONGEST,
        )  # fmt: skip
        said = archive.stderr.read() if archive.stderr else b""
    if archive.returncode or done.returncode:
        line = " ".join((said or done.stderr).decode(errors="replace").split())[:300]
        raise HostError(f"commit {source.stamp} could not be unpacked: {line}")


def _words(*words: str) -> list[str]:
    # No hook and no watcher that the repository names.
    return ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words]


def _git(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    try:
        done = subprocess.run(
            _words(*words), stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST, **_as_owner(folder)
        )
    except FileNotFoundError:
        raise HostError(
            f"{folder} is a git repository, and git is not on this host; apt-get install git, or release a copy "
            "without .git"
        ) from None
    if check and done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[:300]
        raise HostError(f"git {words[0]} in {folder} ended with {done.returncode}: {said}")
    return done


def _as_owner(folder: Path) -> dict[str, Any]:
    """Return how a program is started as the folder's owner, who is trusted with it anyway."""
    owner = folder.stat()
    given: dict[str, Any] = {"cwd": folder, "env": {**ENVIRON, "HOME": "/nonexistent"}}
    if os.geteuid() == 0 and owner.st_uid != 0:
        given |= {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    return given
