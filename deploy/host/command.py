"""Runs programs of the host, in an environment of their own, and turns their failures into one line.

Knows no program but systemd's. Secrets go in by `input` alone: arguments are for everybody to see.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from .errors import HostError

# Of the caller's environment nothing: PGHOST or LANG of whoever runs us must not change what happens.
ENVIRON = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
}  # fmt: skip
TAIL = 15


def run(
    *argv: str, input: str = "", timeout: float = 120.0, check: bool = True,
    env: Mapping[str, str] | None = None, cwd: str | None = None,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run a program to its end; returns what it said.

    Args:
        argv: the program and its arguments; no secret.
        input: what it reads.
        timeout: seconds that it may take.
        check: False leaves the exit code to the caller.
        env: variables beside the fixed ones.
        cwd: its folder; `/` when None.

    Raises:
        HostError: it is not there, took too long, or failed.
    """
    try:
        done = subprocess.run(
            list(argv), input=input, capture_output=True, text=True, errors="replace", timeout=timeout,
            env={**ENVIRON, **(env or {})}, cwd=cwd or "/",
        )  # fmt: skip
    except FileNotFoundError:
        raise HostError(f"{argv[0]} is not on this host; harden install brings what a host needs") from None
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{_named(argv)} was not done within {timeout:.0f} s", _lines(error.stderr)) from None
    if check and done.returncode:
        said = _lines(done.stderr) or _lines(done.stdout)
        why = said[-1] if said else "it said nothing"
        raise HostError(f"{_named(argv)} ended with {done.returncode}: {why[:300]}", said)
    return done


def systemctl(*words: str, check: bool = True, timeout: float = 180.0) -> subprocess.CompletedProcess[str]:
    """Run systemctl; raises as `run`."""
    return run("systemctl", *words, check=check, timeout=timeout)


def is_active(unit: str) -> bool:
    """Tell whether a unit runs, or has started whatever it is for; one that is just starting does not."""
    return systemctl("is-active", "--quiet", unit, check=False).returncode == 0


def journal_tail(unit: str, lines: int = TAIL) -> tuple[str, ...]:
    """Return the last lines of a unit in the journal; none when it cannot be read."""
    done = run("journalctl", "-q", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={unit}", check=False)
    return tuple(done.stdout.splitlines()[-lines:])


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines of both of a program's outputs that say something."""
    return [line.rstrip() for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]


def _named(argv: Sequence[str]) -> str:
    return " ".join(argv)[:200]


def _lines(text: str | bytes | None) -> list[str]:
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return [line.rstrip() for line in (text or "").splitlines() if line.strip()][-TAIL:]
