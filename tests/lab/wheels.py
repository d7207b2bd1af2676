"""Wheels for hosts, which have no way out: downloaded once by this machine's pip, for the hosts' Python."""

from __future__ import annotations

import fcntl
import hashlib
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import execution
from .errors import LabError
from .folders import remove_tree
from .lab import Lab

LIBCS = ("2_28", "2_17", "2014")  # of Debian 12 is 2.36: wheels for older ones run


def fetch(lab: Lab, requirements: Sequence[str], timeout: float = 300.0) -> Path:
    """Return a folder with the wheels of requirements and of what they need.

    Args:
        lab: its base says which Python.
        requirements: as pip takes them.
        timeout: seconds that pip may take.

    Raises:
        LabError: pip cannot get them.
    """
    version = (lab.base / "usr/bin/python3").readlink().name.removeprefix("python")
    words = " ".join([version, platform.machine(), *sorted(requirements)])
    folder = lab.state / f"wheels-{hashlib.sha256(words.encode()).hexdigest()[:12]}"
    with (lab.state / "wheels.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _download(lab.state, folder, version, requirements, timeout)
    return folder


def _download(state: Path, folder: Path, version: str, requirements: Sequence[str], timeout: float) -> None:
    partial = folder.with_suffix(".partial")
    remove_tree(state, partial)
    platforms = [f"--platform=manylinux{'_' if '_' in libc else ''}{libc}_{platform.machine()}" for libc in LIBCS]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--only-binary=:all:",
         f"--python-version={version}", "--implementation=cp", *platforms, f"--dest={partial}", *requirements],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    if done.returncode:
        remove_tree(state, partial)
        raise LabError(f"pip cannot get wheels for Python {version}: {execution.last_line(done.stderr)}")
    partial.rename(folder)
