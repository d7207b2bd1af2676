"""What the measurement ran on, read from the machine itself: figures without it compare to nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"


def describe_machine(postgresql: str, pgbouncer: str | None = None, root: Path = Path("/")) -> dict[str, Any]:
    """Return the `machine` part of a report.

    Args:
        postgresql: Version that the server reported.
        pgbouncer: Version of PgBouncer, or None when the demo ran without it.
        root: Where /proc, /etc and /sys are looked for.
    """
    return {
        "cpu": _cpu(root),
        "cores": _cores(root),
        "memory_gib": _memory_gib(root),
        "os": _os(root),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": postgresql,
        "pgbouncer": pgbouncer,
        "gunicorn": _version("gunicorn"),
        "flask": _version("flask"),
        "werkzeug": _version("werkzeug"),
        "psycopg2": _version("psycopg2-binary", "psycopg2"),
    }


def _cpu(root: Path) -> str:
    found = _values(root / "proc/cpuinfo", ":")
    # ARM has no model name; the architecture is the least that can be said.
    return found.get("model name") or found.get("Model") or platform.machine() or UNKNOWN


def _cores(root: Path) -> int:
    """Return the cores this process may use, which in a container are fewer than the machine has."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _text(root / "sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        return max(min(available, -(-int(quota) // int(period))), 1)
    return available


def _memory_gib(root: Path) -> float:
    kilobytes = _values(root / "proc/meminfo", ":").get("MemTotal", "0 kB").split()[0]
    total = int(kilobytes) * 1024
    limit = _text(root / "sys/fs/cgroup/memory.max").strip()
    if limit.isdigit():
        total = min(total, int(limit))
    return round(total / 2**30, 1)


def _os(root: Path) -> str:
    return _values(root / "etc/os-release", "=").get("PRETTY_NAME", platform.system()).strip('"')


def _version(*distributions: str) -> str:
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def _values(path: Path, separator: str) -> dict[str, str]:
    """Read `name separator value` lines; the first of equal names counts, as with one block per core."""
    values: dict[str, str] = {}
    for line in _text(path).splitlines():
        name, found, value = line.partition(separator)
        if found:
            values.setdefault(name.strip(), value.strip())
    return values


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
