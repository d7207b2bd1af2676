"""Who owns a lab, and what happens to one whose owner is dead.

An owner holds a lock for as long as it lives, however it dies. A lab's processes end with it by themselves (see
switch.py); what stays is a folder and control groups, which the next lab removes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scripts.stack.locks import held

from . import cgroups, processes
from .errors import LabError
from .folders import remove_tree

KEPT = "kept"  # a lab with this file outlives the command that made it


def remove(folder: Path) -> None:
    """Remove a lab by its folder: its processes, its control groups, its disks.

    Raises:
        LabError: some of it would not go; it is tried again when the next lab starts.
    """
    processes.kill(folder / "switch")
    group = cgroups.of_lab(folder.name)
    if group.exists():
        cgroups.remove(group)
    remove_tree(folder.parent.parent, folder)


def remove_dead(state: Path, progress: Callable[[str], None]) -> list[str]:
    """Remove what is left of labs whose owner was killed, and return their names.

    A lab that was asked to stay has no owner, and stays.

    Args:
        state: the folder of all labs.
        progress: told what would not go; a new lab does without it.
    """
    removed = []
    for folder in (state / "labs").iterdir():
        if (folder / KEPT).exists():
            continue
        try:
            owner = held(folder / "owner.lock")
        except OSError:
            continue  # alive
        with owner:
            try:
                remove(folder)
            except LabError as error:
                progress(error.line())
                continue
        removed.append(folder.name)
    return removed
