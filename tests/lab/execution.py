"""Runs a command in a host, or in a lab's network, with its input, output and exit code.

The command is in the host's control group, so it dies and freezes with the host. Knows nothing of how hosts boot.
Inputs and outputs are files, not pipes: a process that is frozen would hold a pipe open, and its reader for ever.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from .errors import LabError
from .inside import DROPPED

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRON = {"PATH": PATH, "LANG": "C.UTF-8"}  # of the lab's own processes; nothing of the caller's gets in
TIMED_OUT = (124, 137)  # coreutils' timeout: ended by TERM, or by KILL
GRACE = 5  # seconds until KILL


def in_host(init: int, group: Path, command: Sequence[str], timeout: float | None) -> list[str]:
    """Return a command of this machine that runs a command in a host, as root with what a service may do.

    Args:
        init: the host's first process.
        group: its control group.
        command: program and arguments.
        timeout: seconds that it may take; None for any.
    """
    inside = group / "exec"
    inside.mkdir(exist_ok=True)
    environ = ["HOME=/root", "USER=root", "LOGNAME=root", "LANG=C.UTF-8", "TERM=dumb", f"PATH={PATH}"]
    enter = ["nsenter", "--target", str(init), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]
    return [
        *_joining(inside), *enter, "setpriv", f"--bounding-set={DROPPED}", "env", "-i", *environ,
        *_bounded(timeout), *command,
    ]  # fmt: skip


def in_network(switch: int, group: Path, command: Sequence[str], timeout: float | None) -> list[str]:
    """Return a command that runs another one of this machine in the lab's network, where hosts have names.

    Args:
        switch: the lab's first process, with which it dies.
        group: the lab's control group.
        command: program and arguments.
        timeout: as for `in_host`.
    """
    enter = ["nsenter", "--target", str(switch), "--net", "--mount", "--pid", "--", "env", "-C", str(Path.cwd())]
    clients = group / "clients"
    clients.mkdir(exist_ok=True)
    return [*_joining(clients), *enter, *_bounded(timeout), *command]


def run(
    command: Sequence[str], shown: Sequence[str], *, input: str | bytes = "", timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run what the functions above have made; the time is enforced within, and once more here.

    Raises:
        LabError: it took too long.
    """
    with tempfile.TemporaryFile() as given:
        given.write(input.encode() if isinstance(input, str) else input)
        given.seek(0)
        with tempfile.TemporaryFile() as out:
            done = streamed(command, shown, given=given, out=out, timeout=timeout)
            out.seek(0)
            done.stdout = out.read().decode(errors="replace")
            return done


def streamed(
    command: Sequence[str], shown: Sequence[str], *, given: IO[bytes], out: IO[bytes], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run it between two open files; the answer has no stdout.

    Raises:
        LabError: it took too long.
    """
    with tempfile.TemporaryFile() as err:
        try:
            code = subprocess.call(list(command), stdin=given, stdout=out, stderr=err, timeout=timeout + GRACE + 5)
        except subprocess.TimeoutExpired:
            code = TIMED_OUT[0]
        err.seek(0)
        text = err.read().decode(errors="replace")
    if code in TIMED_OUT:
        raise LabError(f"{' '.join(shown)[:200]!r} did not end within {timeout:.0f} s {last_line(text)}".rstrip())
    return subprocess.CompletedProcess(list(shown), code, "", text)


def last_line(text: str) -> str:
    """Return the last line that says something; "" for none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _joining(group: Path) -> list[str]:
    return ["sh", "-c", 'echo 0 >"$0" && exec "$@"', str(group / "cgroup.procs")]


def _bounded(timeout: float | None) -> list[str]:
    return [] if timeout is None else ["timeout", "-k", str(GRACE), str(timeout)]
