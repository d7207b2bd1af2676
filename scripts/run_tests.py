"""Runs the test suite with everything it needs, and checks that it leaves no process behind.

All of it is two runs: what does not mind a neighbour, in two processes with servers of their own each; then what
measures time or looks at the whole machine (the marker `alone`, given by folder in tests/conftest.py).

What fails there, if it is no more than a few, is run once more with nothing beside it. Thousands of tests against
real servers meet a moment in which a shared machine gives them no processor; a fault fails again. A test that
passes only then is named at the end, so that it gets looked at. A run that stops in the middle, because a test
took its process along, is gone on with what is left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from . import finished_tests
from .errors import CommandError
from .finished_tests import OPTION, Finished
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
PYTEST = [sys.executable, "-m", "pytest"]
FEW = 10  # failures that get a second run; more are no accident
FAILED = 1  # pytest's exit code for "some tests failed"
# Seconds without the end of a test. One that hangs is ended after 400 (tests/conftest.py); a schedule over several
# processes may wait for ever for one that has died.
STALLED_AFTER = 470.0
LOOK_EVERY, END_SECONDS = 0.5, 20.0


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
    """Run pytest, what a stopped run left, and a few failures once more; returns its exit code."""
    if not retries:
        return subprocess.run([*PYTEST, *arguments], cwd=ROOT).returncode
    with tempfile.TemporaryDirectory(prefix="harden-pytest-") as folder:
        finished = Finished(Path(folder) / "finished")
        code = _pytest([*arguments, "-o", f"cache_dir={folder}"], finished)
        if not finished.is_over:
            left = sorted(_collected(arguments) - finished.names())
            _say(f"the run stopped before {len(left)} test(s), which are run now, with nothing beside")
            code = max(int(bool(finished.failed())), _pytest([_list(folder, left)], finished) if left else code)
        failed = finished.failed()
        if code != FAILED or not finished.is_over or not 0 < len(failed) <= FEW:
            return code
        _say(f"once more, with nothing beside: {len(failed)} failed test(s)")
        code = _pytest([_list(folder, failed)], Finished(Path(folder) / "again"))
        for name in failed if code == 0 else ():
            _say(f"failed once and passed alone, look at it: {name}")
        return code


def _pytest(arguments: list[str], finished: Finished) -> int:
    """Run pytest in a group of its own; end it when no test ends for long. Returns its exit code."""
    argv = [*PYTEST, "-p", finished_tests.__name__, f"{OPTION}={finished.path}", *arguments]
    began = time.time()
    with subprocess.Popen(argv, cwd=ROOT, start_new_session=True) as child:
        try:
            while child.poll() is None:
                time.sleep(LOOK_EVERY)
                quiet = time.time() - max(began, finished.last())
                if quiet > STALLED_AFTER:
                    _say(f"no test ended for {quiet:.0f} s; the run is stopped")
                    _end(child)
        except BaseException:
            _end(child)
            raise
    return child.returncode if child.returncode >= 0 else FAILED


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a group of processes; what a test started dies with it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(END_SECONDS)


def _collected(arguments: list[str]) -> set[str]:
    """Return the names of the tests that arguments choose."""
    with tempfile.TemporaryDirectory(prefix="harden-pytest-") as folder:
        chosen = [argument for argument in arguments if argument != "-q"]
        argv = [*PYTEST, *chosen, "--collect-only", "-q", "-n", "0", "-o", f"cache_dir={folder}"]
        found = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True).stdout
    return {line for line in found.splitlines() if "::" in line}


def _list(folder: str, names: list[str]) -> str:
    """Return an argument for so many names."""
    path = Path(folder) / f"names-{len(names)}"
    path.write_text("\n".join(names) + "\n", encoding="utf-8")
    return f"@{path}"


def _say(words: str) -> None:
    print(f"harden: {words}", file=sys.stderr, flush=True)


def _orphans() -> set[int]:
    """Return the processes of runs that have ended; a run that goes on beside us is not ours to judge."""
    found = set()
    for entry in Path("/proc").iterdir():
        run = run_of(entry)
        if run is not None and not is_alive(run):
            found.add(int(entry.name))
    return found - {os.getpid()}
