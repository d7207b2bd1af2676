"""Processes by record: a file with a process id and when it started, which tells a reused id from the old one.

Only what such a record names is ever killed.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .errors import LabError


def started(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; "" when it is gone, or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def recorded(path: Path) -> int | None:
    """Return the process that a record names, if it still runs."""
    try:
        pid, when = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return pid if when and started(pid) == when else None


def write(path: Path, pid: int) -> None:
    """Record a process."""
    path.write_text(json.dumps([pid, started(pid)]))


def kill(path: Path, seconds: float = 20.0) -> None:
    """Kill the process that a record names, and wait until it is gone.

    Raises:
        LabError: it is still there after that time.
    """
    pid = recorded(path)
    if pid is None:
        return
    with suppress(ProcessLookupError):  # it may end by itself between the two
        os.kill(pid, signal.SIGKILL)
    wait(lambda: recorded(path) is None, seconds, f"process {pid} ({path.name}) did not end")


def wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition.

    Raises:
        LabError: it did not come true in time; says `what`.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise LabError(f"{what} within {seconds:.0f} s")
        time.sleep(0.02)
