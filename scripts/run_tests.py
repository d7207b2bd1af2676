"""Runs the test suite with everything it needs, and checks that it leaves no process behind.

All of it is two runs: what does not mind a neighbour, in two processes with servers of their own each; then what
measures time or looks at the whole machine (the marker `alone`, given by folder in tests/conftest.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from .errors import CommandError
from .progress import Progress
from .stack.binaries import find
from .stack.runfolder import is_alive, run_of, state_folder

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Run pytest; returns its exit code, or 1 when a server outlived it."""
    progress = Progress()
    try:
        find(state_folder(os.environ.get("HARDEN_STATE")), progress)
    except CommandError as error:
        print(f"harden: error: {error.line()}", file=sys.stderr)
        return 2
    runs = [arguments] if arguments else [["-m", "not alone", "-n", "2", "--dist", "loadfile"], ["-m", "alone"]]
    codes = [subprocess.run([sys.executable, "-m", "pytest", *each], cwd=ROOT).returncode for each in runs]
    code = next(filter(None, codes), 0)
    time.sleep(0.2)
    left = _orphans()
    if left:
        print(f"harden: error: the tests left processes behind: {sorted(left)}", file=sys.stderr)
        return code or 1
    return code


def _orphans() -> set[int]:
    """Return the processes of runs that have ended; a run that goes on beside us is not ours to judge."""
    found = set()
    for entry in Path("/proc").iterdir():
        run = run_of(entry)
        if run is not None and not is_alive(run):
            found.add(int(entry.name))
    return found - {os.getpid()}
