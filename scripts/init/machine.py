"""What this machine is: cores, memory, and the versions of its PostgreSQL and PgBouncer.

Asked only where the service is to run here; another machine's figures would be wrong in silence.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from .found import Found

HERE = "this machine's"
OS_RELEASE = Path("/etc/os-release")
# What `harden install` brings where there is none yet: PostgreSQL's and PgBouncer's versions, by Debian's.
DEBIAN = {"12": (15, "1.18.0"), "13": (17, "1.24.1")}


def cores() -> Found:
    """Return the cores that this process may use."""
    return Found(len(os.sched_getaffinity(0)), HERE)


def memory_mb() -> Found:
    """Return the memory in MB."""
    return Found(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20, HERE)


def postgresql_version() -> Found | None:
    """Return the newest major version that is installed, else Debian's; None where neither is known."""
    versions = [int(path.name) for path in Path("/usr/lib/postgresql").glob("*") if path.name.isdigit()]
    return Found(max(versions), HERE) if versions else _of_debian(0)


def pgbouncer_version() -> Found | None:
    """Return the version that is installed, else Debian's; None where neither is known."""
    binary = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        return _of_debian(1)
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d+\.\d+(?:\.\d+)?", said)
    return Found(found[0], HERE) if found else None


def _of_debian(which: int) -> Found | None:
    try:
        lines = OS_RELEASE.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    words = {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
    if words.get("ID") != "debian" or words.get("VERSION_ID") not in DEBIAN:
        return None
    return Found(DEBIAN[words["VERSION_ID"]][which], f"Debian {words['VERSION_ID']}'s, which install brings")
