"""Whether this machine can have labs; when it cannot, one line that names what is missing.

Everything is tried, in namespaces that end with the trial, rather than guessed from versions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import base, cgroups, sources
from .errors import LabError

PROGRAMS = {"unshare": "util-linux", "nsenter": "util-linux", "mount": "mount", "ip": "iproute2"}
NAMESPACES = ["--net", "--mount", "--propagation", "private", "--uts", "--ipc", "--pid", "--cgroup", "--fork"]
OVERLAY = 'mount -t overlay -o "lowerdir=$0/a,upperdir=$0/b,workdir=$0/c,volatile" overlay "$0/d"'


def require(state: Path, recipe: base.Recipe) -> None:
    """Raise when no lab is possible here.

    Args:
        state: the folder of all labs.
        recipe: what hosts are to have.

    Raises:
        LabError: says what is missing.
    """
    if os.geteuid() != 0:
        raise LabError("a lab needs root, for namespaces and mounts; run it with sudo")
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise LabError(f"{program} is not installed; apt-get install {package}")
    _require_kernel(state)
    if not base.is_built(state, recipe):
        _require_builder(recipe)


def _require_kernel(state: Path) -> None:
    done = subprocess.run(["unshare", *NAMESPACES, "true"], capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"this machine gives no namespaces ({_why(done)}); a container needs --privileged")
    with tempfile.TemporaryDirectory(prefix="trial-", dir=state) as trial:
        for name in "abcd":
            (Path(trial) / name).mkdir()
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", OVERLAY, trial]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"no overlayfs on {state} ({_why(done)}); set HARDEN_LAB_DIR to a folder on ext4 or xfs")
    _require_cgroups()


def _require_cgroups() -> None:
    trial = cgroups.of_lab(f"trial-{os.getpid()}")
    try:
        trial.mkdir()
        (trial / "cgroup.freeze").read_text()
        trial.rmdir()
    except OSError as error:
        raise LabError(f"no control groups of version 2 to be made in {trial.parent}: {error.strerror}") from None


def _require_builder(recipe: base.Recipe) -> None:
    if shutil.which("mmdebstrap") is None:
        raise LabError("mmdebstrap is not installed; apt-get install mmdebstrap")
    if recipe.sources_file is None:
        sources.find(recipe.suite)
    elif not recipe.sources_file.is_file():
        raise LabError(f"{recipe.sources_file} is no file of apt sources; see HARDEN_LAB_SOURCES")


def install() -> None:
    """Install the builder where apt can; `require` says it when that was not possible."""
    if shutil.which("mmdebstrap") or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", "mmdebstrap"]):
        subprocess.run(["apt-get", *command], stdin=subprocess.DEVNULL, capture_output=True, env=environ)


def _why(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    return lines[0] if lines else f"exit code {done.returncode}"
