"""Whether git could bring back what is about to be rewritten.

Git is asked with everything off that a hostile repository could make it run.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from ..audit.evidence.tracked import DEADLINE, SAFE, tracked
from ..errors import CommandError

SHOWN = 3  # files that a message names
UNTIL = "commit or stash first, or give --allow-dirty"


def check_clean(root: Path, paths: Iterable[str]) -> None:
    """See that the files are in git as they are.

    Args:
        paths: Those that exist and are to be rewritten.

    Raises:
        CommandError: There is no git repository, or something in the folder is not committed.
    """
    changed = _uncommitted(root)
    if changed is None:
        raise CommandError(f"{root} is in no git repository, so nothing could be taken back; give --allow-dirty")
    if changed:
        raise CommandError(f"{root} has uncommitted changes ({_named(changed)}); {UNTIL}")
    strange = sorted(set(paths) - (tracked(root) or frozenset()))
    if strange:
        raise CommandError(f"git does not know {_named(strange)}, which would be rewritten; {UNTIL}")


def _uncommitted(root: Path) -> list[str] | None:
    """Return what of the tracked files below a folder is changed; None where there is no git."""
    command = ["git", *SAFE, "-C", str(root), "status", "--porcelain", "--untracked-files=no", "-z", "--", "."]
    try:
        done = subprocess.run(command, capture_output=True, timeout=DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    return [entry[3:] for entry in done.stdout.decode(errors="replace").split("\0") if entry[2:3] == " "]


def _named(paths: list[str]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(paths[:SHOWN]) + more
