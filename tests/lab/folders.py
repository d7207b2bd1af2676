"""Where labs lie, and how their folders are removed: never across a mount, never outside the lab's own place."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .errors import LabError

DEFAULT = "/var/tmp/harden-lab"  # a disk: overlayfs takes no overlay for its upper layer, and /tmp may be memory
PLAIN = re.compile(r"/[A-Za-z0-9_./-]{1,80}")  # mount options cannot hold commas, colons and the like


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of all labs and bases, made when missing: HARDEN_LAB_DIR, or one in /var/tmp.

    Raises:
        LabError: it belongs to somebody else, others can write to it, or its path has special characters.
    """
    folder = Path(environ.get("HARDEN_LAB_DIR") or DEFAULT)
    if not PLAIN.fullmatch(str(folder)) or ".." in folder.parts or len(folder.parts) < 3:
        raise LabError(f"{folder} cannot hold labs; set HARDEN_LAB_DIR to a plain absolute path, two folders deep")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise LabError(f"{folder} is not ours alone; set HARDEN_LAB_DIR to a folder that only you can write to")
    (folder / "labs").mkdir(exist_ok=True, mode=0o700)
    return folder


def remove_tree(state: Path, folder: Path) -> None:
    """Remove a folder below the state folder, or nothing at all.

    Raises:
        LabError: it lies elsewhere, or something is mounted below it.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    inside = folder.parent.resolve() / folder.name
    if state.resolve() not in inside.parents or folder.is_symlink():
        raise LabError(f"{folder} is not removed: it is not below {state}")
    mounted = mounts_below(inside)
    if mounted:
        raise LabError(f"{folder} is not removed: {mounted[0]} is a mount; unmount it yourself")
    done = subprocess.run(["rm", "-rf", "--one-file-system", "--", str(inside)], capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{folder} could not be removed: {(done.stderr.strip() or 'rm failed').splitlines()[-1]}")


def mounts_below(folder: Path) -> list[str]:
    """Return the mount points at or below a folder, as this process sees them."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point == str(folder) or point.startswith(f"{folder}/")]
