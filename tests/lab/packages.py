"""Debian packages for hosts, which have no way out: fetched once by this machine's apt, read there as a mirror.

apt resolves against what a lab's base has installed, so the folder has just what is missing there. Knows no
package by name. If this is wrong, `apt-get install` in a host ends with "unable to locate package".
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import execution, sources
from .errors import LabError
from .folders import remove_tree
from .host import Host
from .lab import Lab

MIRROR = "/srv/packages"
LIST = "/etc/apt/sources.list.d/lab.list"
LONGEST = 900.0  # seconds for a slow mirror


def fetch(lab: Lab, names: Sequence[str]) -> Path:
    """Return a folder with packages and all that they depend on or recommend, and an index of it.

    Args:
        lab: its base says what is installed already.
        names: packages.

    Raises:
        LabError: apt cannot get them.
    """
    words = " ".join([lab.base.name, *sorted(names)])
    folder = lab.state / f"packages-{hashlib.sha256(words.encode()).hexdigest()[:12]}"
    with (lab.state / "packages.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _download(lab, folder, names)
    return folder


def offer(host: Host, folder: Path) -> None:
    """Make a folder of packages the one source of a host's apt; `apt-get update` is the host's to say.

    Raises:
        LabError: the host is off, or has no room.
    """
    host.copy(folder, MIRROR, timeout=300)
    host.write(LIST, f"deb [trusted=yes] file:{MIRROR} ./\n")


def index(folder: Path) -> str:
    """Return the index that apt reads: what each package says of itself, where it lies and its hash."""
    return "\n".join(_entry(folder, package) for package in sorted(folder.glob("*.deb")))


def _entry(folder: Path, package: Path) -> str:
    fields = _run(["dpkg-deb", "--field", str(package)], 60)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    return f"{fields.rstrip()}\nFilename: ./{package.relative_to(folder)}\nSize: {package.stat().st_size}\n" \
        f"SHA256: {digest}\n"  # fmt: skip


def _download(lab: Lab, folder: Path, names: Sequence[str]) -> None:
    work = folder.with_suffix(".partial")
    remove_tree(lab.state, work)
    archives = work / "cache/archives"
    for part in ("state/lists/partial", "cache/archives/partial"):
        (work / part).mkdir(parents=True)
    named = lab.recipe.sources_file
    (work / "lab.sources").write_text(sources.named(named) if named else sources.find(lab.recipe.suite))
    apt = ["apt-get", "-q", "-y", *_settings(work, lab.base)]
    _run([*apt, "update"], LONGEST)
    _run([*apt, "install", "--download-only", *names], LONGEST)
    remove_tree(lab.state, archives / "partial")
    (archives / "lock").unlink(missing_ok=True)
    (archives / "Packages").write_text(index(archives))
    for path in (archives, *archives.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)  # apt reads them in a host as a user of its own
    archives.rename(folder)
    remove_tree(lab.state, work)


def _settings(work: Path, base: Path) -> list[str]:
    """Return options with which apt sees the base's packages and none of this machine's."""
    told = {
        "Dir::State": work / "state",
        "Dir::State::status": base / "var/lib/dpkg/status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "lab.sources",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "-",
        "APT::Sandbox::User": "root",  # the lab's folder is root's alone
    }
    return [f"--option={name}={value}" for name, value in told.items()]


def _run(command: list[str], timeout: float) -> str:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, env=environ
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{command[0]} did not do it: {error}") from None
    if done.returncode:
        raise LabError(f"{command[0]} failed: {execution.last_line(done.stderr)}")
    return done.stdout
