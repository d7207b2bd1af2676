"""Runs the test suite with everything it needs, and checks that it leaves no process behind.

All of it is two runs: what does not mind a neighbour, in two processes with servers of their own each; then what
measures time or looks at the whole machine (the marker `alone`, given by folder in tests/conftest.py).

What fails there, if it is no more than a few, is run once more with nothing beside it. Thousands of tests against
real servers meet a moment in which a shared machine gives them no processor; a fault fails again. A test that
passes only then is named at the end, so that it gets looked at.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .errors import CommandError
from .progress import Progress
from .stack.binaries import (
    find,
    install_chromium,
    install_front,
    install_hypopg,
    install_promtool,
    install_redis,
    install_sshd,
)
from .stack.runfolder import is_alive, run_of, state_folder

ROOT = Path(__file__).resolve().parent.parent
FEW = 10  # failures that get a second run; more are no accident
FAILED = 1  # pytest's exit code for "some tests failed"


def main(arguments: list[str]) -> int:
    """Run pytest; returns its exit code, or 1 when a server outlived it."""
    progress = Progress()
    arguments = _with_lab(arguments)
    try:
        base = state_folder(os.environ.get("HARDEN_STATE"))
        find(base, progress)
        install_promtool(base, progress)
        install_hypopg(base, progress)
        install_front(base, progress)
        install_redis(base, progress)
        install_sshd(base, progress)
        install_chromium(base, progress)
    except CommandError as error:
        print(f"harden: error: {error.line()}", file=sys.stderr)
        return 2
    runs = [arguments] if arguments else [["-m", "not alone", "-n", "2", "--dist", "loadfile"], ["-m", "alone"]]
    codes = [_run(each, retries=not arguments) for each in runs]
    code = next(filter(None, codes), 0)
    time.sleep(0.2)
    left = _orphans()
    if left:
        print(f"harden: error: the tests left processes behind: {sorted(left)}", file=sys.stderr)
        return code or 1
    return code


def _with_lab(arguments: list[str]) -> list[str]:
    """Take `--lab` for what it means: the tests on real hosts, which are skipped otherwise."""
    if "--lab" not in arguments:
        return arguments
    os.environ["HARDEN_LAB"] = "1"
    rest = [argument for argument in arguments if argument != "--lab"]
    return rest if any(argument.startswith("tests") for argument in rest) else ["tests/lab", *rest]


def _run(arguments: list[str], *, retries: bool) -> int:
    """Run pytest, and a few failures of it once more; returns its exit code."""
    if not retries:
        return _pytest(arguments)
    with tempfile.TemporaryDirectory(prefix="harden-pytest-") as folder:
        code = _pytest([*arguments, "-o", f"cache_dir={folder}"])
        failed = failures(Path(folder))
        if code != FAILED or not 0 < len(failed) <= FEW:
            return code
        print(f"harden: once more, with nothing beside: {len(failed)} failed test(s)", file=sys.stderr, flush=True)
        code = _pytest(failed)
        for name in failed if code == 0 else ():
            print(f"harden: failed once and passed alone, look at it: {name}", file=sys.stderr, flush=True)
        return code


def _pytest(arguments: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT).returncode


def failures(folder: Path) -> list[str]:
    """Return the tests that failed, by the cache that pytest has left in a folder; none when it says nothing."""
    try:
        known = json.loads((folder / "v/cache/lastfailed").read_text())
    except (OSError, ValueError):
        return []
    return sorted(known) if isinstance(known, dict) else []


def _orphans() -> set[int]:
    """Return the processes of runs that have ended; a run that goes on beside us is not ours to judge."""
    found = set()
    for entry in Path("/proc").iterdir():
        run = run_of(entry)
        if run is not None and not is_alive(run):
            found.add(int(entry.name))
    return found - {os.getpid()}
