"""Where the peers are installed: a virtual environment of their own inside the kit's, which stays as it is.

Made once and kept; a run that finds all it needs there installs nothing.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ..errors import CommandError

# What `backend` needs, so that ours runs where the peers do.
OWN = ("flask>=2.0", "psycopg2-binary>=2.9")
STAMP = ".harden-peers.json"


class Needy(Protocol):
    """What is measured there: a pool, or a method of asking."""

    @property
    def packages(self) -> tuple[str, ...]:
        """What it needs beyond psycopg2, as pip names it."""


class Peers:
    """The interpreter for each subject.

    Args:
        folder: of the environment; made at the first call that needs it.
        progress: told what is installed, and what could not be.
    """

    def __init__(self, folder: Path, progress: Callable[[str], None]) -> None:
        self._folder = folder
        self._progress = progress
        self.missing: dict[str, str] = {}

    def prepare(self, subjects: Sequence[Needy]) -> str:
        """Return an interpreter that has what the subjects need: our own, when they need nothing but psycopg2.

        A package that cannot be installed is noted in `missing` with its reason.

        Raises:
            CommandError: the environment cannot be made.
        """
        wanted = list(dict.fromkeys(name for subject in subjects for name in subject.packages))
        if not wanted:
            return sys.executable
        with self._alone():
            self._make()
            self._install([*OWN, *wanted])
        return str(self._python)

    @property
    def _python(self) -> Path:
        return self._folder / "bin" / "python"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            lock = self._folder.with_name(f"{self._folder.name}.lock").open("a")
        except OSError as error:
            raise CommandError(
                f"cannot write to {self._folder.parent} ({error.strerror}); set HARDEN_VENV to a folder of yours"
            ) from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make(self) -> None:
        if (self._folder / STAMP).exists() and _runs([str(self._python), "-c", "pass"]) is None:
            return
        self._progress(f"making {self._folder} for the peers (once)")
        problem = _runs([sys.executable, "-m", "venv", "--clear", str(self._folder)])
        if problem:
            raise CommandError(f"cannot make {self._folder}: {problem}; free some space, or install python3-venv")
        self._write([])

    def _install(self, wanted: Sequence[str]) -> None:
        installed = json.loads((self._folder / STAMP).read_text(encoding="utf-8"))
        lacking = [name for name in wanted if name not in installed]
        if not lacking:
            return
        self._progress(f"installing {', '.join(lacking)} into {self._folder} (once)")
        if self._pip(lacking) is None:
            installed += lacking
        else:  # one that cannot be had must not take the others with it
            installed += [name for name in lacking if self._is_installed(name)]
        self._write(installed)

    def _is_installed(self, name: str) -> bool:
        problem = self._pip([name])
        if problem is not None and name in OWN:
            raise CommandError(
                f"pip could not install {name}: {problem}; check the network, or choose what needs no installing"
            )
        if problem is not None:
            self.missing[name] = problem
        return problem is None

    def _pip(self, names: Sequence[str]) -> str | None:
        return _runs([str(self._python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *names])

    def _write(self, installed: Sequence[str]) -> None:
        (self._folder / STAMP).write_text(json.dumps(installed), encoding="utf-8")


def _runs(command: Sequence[str]) -> str | None:
    """Run a command; returns None when it went well, else the line that says why not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    except OSError as error:
        return str(error.strerror)
    if done.returncode == 0:
        return None
    lines = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
    return next((line.strip() for line in lines if "error" in line.lower()), lines[-1].strip())
