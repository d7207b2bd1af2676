"""A control group for each lab, and one below it for each host: what freezes a host.

On a machine with version 2 alone the controllers are passed on, so that MemoryMax= and TasksMax= work in a host;
on one that has version 1 beside it they are version 1's, and such settings are accepted and do nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import LabError
from .processes import wait

PREFIX = "harden-lab-"


def root() -> Path | None:
    """Return where the version 2 tree is mounted; None when it is not."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return Path(fields[1])
    return None


def of_lab(name: str) -> Path:
    """Return a lab's group.

    Raises:
        LabError: the machine has no version 2 tree.
    """
    tree = root()
    if tree is None:
        raise LabError("this machine has no cgroup2 tree; mount one, or boot it with systemd")
    return tree / f"{PREFIX}{name}"


def make(group: Path) -> None:
    """Make a lab's group, with the controllers that there are."""
    group.mkdir(exist_ok=True)
    for level in (group.parent, group):
        for controller in (level / "cgroup.controllers").read_text().split():
            try:
                (level / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError:
                pass  # it is held elsewhere, or processes are in this level; hosts do without it


def freeze(group: Path) -> None:
    """Stop all processes of a group, and wait until they have stopped."""
    (group / "cgroup.freeze").write_text("1")
    wait(lambda: "frozen 1" in (group / "cgroup.events").read_text(), 10, f"{group.name} did not freeze")


def thaw(group: Path) -> None:
    """Let them go on."""
    (group / "cgroup.freeze").write_text("0")


def is_frozen(group: Path) -> bool:
    """Tell whether a group has been stopped."""
    try:
        return (group / "cgroup.freeze").read_text().strip() == "1"
    except OSError:
        return False


def remove(group: Path) -> None:
    """Remove a lab's group, or a host's, with all below it; its processes are gone by then.

    Raises:
        LabError: it is none of ours, or a process is left in it.
    """
    if not any(part.startswith(PREFIX) for part in group.parts[-2:]):
        raise LabError(f"{group} is not removed: it is no lab's")
    wait(lambda: _is_removed(group), 10, f"{group} still has processes and was not removed")


def _is_removed(group: Path) -> bool:
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError:
            return not group.exists()
    return not group.exists()
