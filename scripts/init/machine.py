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


def cores() -> Found:
    """Return the cores that this process may use."""
    return Found(len(os.sched_getaffinity(0)), HERE)


def memory_mb() -> Found:
    """Return the memory in MB."""
    return Found(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20, HERE)


def postgresql_version() -> Found | None:
    """Return the newest major version that is installed; None where Debian's folders have none."""
    versions = [int(path.name) for path in Path("/usr/lib/postgresql").glob("*") if path.name.isdigit()]
    return Found(max(versions), HERE) if versions else None


def pgbouncer_version() -> Found | None:
    """Return the version that is installed; None where there is none."""
    binary = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        return None
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d+\.\d+(?:\.\d+)?", said)
    return Found(found[0], HERE) if found else None
