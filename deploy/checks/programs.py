"""Finds programs and runs them for a check: within a time, in a clean environment, with as few rights as will do.

Knows no program. What a check starts has ended when the check does.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .outcome import Skip

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = 60.0


def program(name: str, package: str) -> str:
    """Return where a program is.

    Raises:
        Skip: it is not installed.
    """
    found = shutil.which(name, path=PATH)
    if found is None:
        raise Skip(f"{name} is not installed (apt-get install {package})")
    return found


def run(
    argv: Sequence[str], environ: Mapping[str, str] = {}, cwd: Path | str = "/", text_in: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    Raises:
        Skip: it took too long, or could not be started.
    """
    try:
        return subprocess.run(
            list(argv), input=text_in, capture_output=True, text=True, errors="replace", timeout=SECONDS, cwd=cwd,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", **environ},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Skip(f"{Path(argv[0]).name} was not done within {SECONDS:.0f} s") from None
    except OSError as error:
        raise Skip(f"{argv[0]} cannot be started: {error.strerror}") from None


def account(*names: str) -> str:
    """Return who runs what must not run as root: the first of some accounts that there is, else nobody's.

    Returns:
        "" when we are not root: then it is ourselves.

    Raises:
        Skip: there is none of them.
    """
    if os.geteuid() != 0:
        return ""
    for name in (*names, "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Skip("there is no account without rights to run it as; add one (adduser --system nobody)")


def as_account(argv: Sequence[str], name: str) -> list[str]:
    """Return a command that runs as an account, without any right, and ends with us.

    Raises:
        Skip: nothing is there to drop rights with.
    """
    if not name:
        return list(argv)
    setpriv = program("setpriv", "util-linux")
    ids = pwd.getpwnam(name)
    return [
        setpriv, f"--reuid={ids.pw_uid}", f"--regid={ids.pw_gid}", "--init-groups", "--no-new-privs",
        "--inh-caps=-all", "--bounding-set=-all", "--pdeathsig=KILL", "--", *argv,
    ]  # fmt: skip


def give(folder: Path, name: str) -> None:
    """Give a folder and all in it to an account; to nobody else when the name is ""."""
    if not name:
        return
    ids = pwd.getpwnam(name)
    for place, _, files in os.walk(folder):
        for each in (place, *(f"{place}/{file}" for file in files)):
            os.chown(each, ids.pw_uid, ids.pw_gid, follow_symlinks=False)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last thing that a program said, on one line."""
    lines = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    return (lines[-1] if lines else f"it ended with {done.returncode}")[:400]
