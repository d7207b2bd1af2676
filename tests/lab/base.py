"""The base: one Debian tree, built once by mmdebstrap and never written to; every host's disk is a layer above it.

Its folder is named after a hash of all that goes in, so another suite or package list is another base beside it.
Knows nothing of hosts. If what packages start by themselves were left enabled, a test would find it running.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import sources
from .errors import LabError
from .folders import remove_tree

RECIPE = 2  # count up when `_command` changes, so that bases are built anew
SUITE = "bookworm"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "iproute2", "iputils-ping", "procps", "psmisc", "curl", "ca-certificates",
    "openssl", "openssh-server", "sudo", "logrotate", "python3", "python3-venv", "postgresql", "pgbouncer",
    "nginx", "haproxy", "redis-server",
)  # fmt: skip
LONGEST_BUILD = 1200  # seconds
REACHING = re.compile(r'Acquire::(?:https?::|ftp::|Check-|Retries|ForceIPv|Max-FutureTime)\S* ".+";', re.I)
WORD = re.compile(r"[a-z0-9][a-z0-9+.-]*")

# Nothing of a package runs until a test enables it; no timer looks for updates; there is no terminal to log in at.
NOTHING_STARTS = """
find "$1/etc/systemd/system" -path '*.wants/*' -type l -delete
for link in "$1"/etc/rc[2-5].d/S*; do mv "$link" "${link%/*}/K01${link##*/S??}"; done
systemctl --quiet --root="$1" mask console-getty.service getty@tty1.service container-getty@.service
"""
# What hosts must not share (identity, keys), and what would point out of the lab (name servers, sources, proxies).
NEUTRAL = """
: >"$1/etc/machine-id"; rm -f "$1/etc/hostname" "$1/etc/resolv.conf"; : >"$1/etc/resolv.conf"
rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/apt/apt.conf.d/99mmdebstrap"
rm -rf "$1"/etc/apt/sources.list* "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin
mkdir -p "$1/var/log/journal" "$1/.old" "$1/etc/apt/sources.list.d"
"""


@dataclass(frozen=True)
class Recipe:
    """What a base has in it.

    Attributes:
        suite: Debian's name for the release.
        packages: to be installed, with what they depend on.
        sources_file: apt sources to use instead of the machine's.
    """

    suite: str = SUITE
    packages: tuple[str, ...] = PACKAGES
    sources_file: Path | None = None

    @property
    def folder_name(self) -> str:
        """Return the base's name, the same for the same contents."""
        words = " ".join([str(RECIPE), self.suite, *sorted(set(self.packages))])
        return f"base-{self.suite}-{hashlib.sha256(words.encode()).hexdigest()[:12]}"


def recipe_from(environ: Mapping[str, str]) -> Recipe:
    """Read HARDEN_LAB_SUITE, HARDEN_LAB_PACKAGES (instead of ours), HARDEN_LAB_EXTRA (added), HARDEN_LAB_SOURCES.

    Raises:
        LabError: a name is none of Debian's.
    """
    suite = environ.get("HARDEN_LAB_SUITE") or SUITE
    packages = environ.get("HARDEN_LAB_PACKAGES", "").split() or list(PACKAGES)
    packages += environ.get("HARDEN_LAB_EXTRA", "").split()
    for word in (suite, *packages):
        if not WORD.fullmatch(word):
            raise LabError(f"{word!r} is no name of a Debian suite or package; see HARDEN_LAB_SUITE and _PACKAGES")
    named = environ.get("HARDEN_LAB_SOURCES")
    return Recipe(suite, tuple(packages), Path(named) if named else None)


def is_built(state: Path, recipe: Recipe) -> bool:
    """Tell whether the base is there already."""
    return (state / recipe.folder_name).is_dir()


def build(state: Path, recipe: Recipe, progress: Callable[[str], None]) -> Path:
    """Return the base's tree, built first when it is missing; one builder at a time.

    Args:
        state: the folder of all labs.
        recipe: what is in it.
        progress: told that it takes a while.

    Raises:
        LabError: mmdebstrap is missing or failed, or there is no package source.
    """
    base = state / recipe.folder_name
    if base.is_dir():
        return base  # it got its name when it was whole
    with (state / f"{base.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not base.is_dir():
            progress(f"building a Debian {recipe.suite} base in {base} (once; two minutes, 600 MB)")
            _build(state, base, recipe, lock.fileno())
    return base


def _build(state: Path, base: Path, recipe: Recipe, lock: int) -> None:
    if shutil.which("mmdebstrap") is None:
        raise LabError("mmdebstrap is not installed; apt-get install mmdebstrap")
    partial, log = state / f"{base.name}.partial", state / f"{base.name}.log"
    remove_tree(state, partial)
    listed = state / f"{base.name}.sources"
    listed.write_text(sources.named(recipe.sources_file) if recipe.sources_file else sources.find(recipe.suite))
    with log.open("w") as out:
        code = _run(_command(recipe, partial, listed), out.fileno(), lock)
    listed.unlink()
    if code:
        remove_tree(state, partial)
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("E:")]
        raise LabError(f"mmdebstrap failed: {lines[0][2:].strip() if lines else f'exit code {code}'}", log)
    partial.rename(base)
    log.unlink()


def _command(recipe: Recipe, target: Path, listed: Path) -> list[str]:
    options = [f"--aptopt={line}" for line in apt_settings()]
    for folder in ("doc", "man", "locale", "info"):
        options.append(f"--dpkgopt=path-exclude=/usr/share/{folder}/*")
    return [
        # mmdebstrap mounts /proc and /dev in the tree: where only it can see them, and gone with it.
        "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
        "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory", *options,
        f"--include={','.join(recipe.packages)}",
        f"--customize-hook={NOTHING_STARTS}", f"--customize-hook={NEUTRAL}",
        recipe.suite, str(target), str(listed),
    ]  # fmt: skip


def apt_settings() -> list[str]:
    """Return how this machine's apt reaches its mirrors, for mmdebstrap's apt has no other way to know."""
    command = ["apt-config", "dump", "--format", '%F "%v";%n']
    dump = subprocess.run(command, capture_output=True, text=True).stdout
    return [line for line in dump.splitlines() if REACHING.fullmatch(line)]


def _run(command: list[str], out: int, lock: int) -> int:
    """Run the builder, which holds the lock as well: a build whose starter was killed keeps others away."""
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=LONGEST_BUILD, pass_fds=(lock,),
            umask=0o022, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124
