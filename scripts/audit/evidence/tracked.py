"""Which files are in git: a password in an ignored `.env` is where it belongs, one in a tracked file is published.

Git is asked with everything off that a hostile repository could make it run. Where there is no git, or the folder
is a stranger to the repository around it, every file counts as published.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.untrackedCache=false")
DEADLINE = 20.0  # seconds; the index of a repository of 100,000 files takes a tenth of one


def tracked(root: Path) -> frozenset[str] | None:
    """Return the relative paths that git tracks under a folder; None when there is no telling."""
    command = ["git", *SAFE, "-C", str(root), "ls-files", "-z"]
    try:
        found = subprocess.run(command, capture_output=True, timeout=DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if found.returncode:
        return None
    return frozenset(name for name in found.stdout.decode(errors="replace").split("\0") if name) or None
