"""What this process takes from its machine: processor time, memory, threads, open files. As plain data.

On Linux by /proc, elsewhere by the `resource` module as far as that goes; no psutil, nothing kept open, no thread.
Measured when asked, in some 20 microseconds. Knows nothing of the app.
If this is wrong, the page shows wrong figures.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_LOADED = time.monotonic()
# Of proc(5)'s stat, counted from after the name in brackets, which may hold spaces and brackets of its own.
_THREADS, _START, _RSS = 17, 19, 21


def snapshot() -> dict[str, Any]:
    """Return the figures of this process at this moment; None for one that cannot be had here.

    Returns:
        `pid`; `cpu_seconds`: processor time of all its threads so far; `rss_bytes`: resident memory, off Linux its
        peak; `threads`: of the process, off Linux those that Python knows; `open_files`: file descriptors, sockets
        included; `uptime`: seconds since the process began, off Linux since this module was imported.
    """
    threads: int
    rss: int | None
    try:
        fields = _read("/proc/self/stat").rpartition(b")")[2].split()
        threads, rss = int(fields[_THREADS]), int(fields[_RSS]) * _PAGE_BYTES
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_START]) / _TICKS
    except (OSError, AttributeError, ValueError, IndexError):  # no Linux, no /proc, or another one's
        threads, rss, uptime = threading.active_count(), peak_bytes(), time.monotonic() - _LOADED
    return {
        "pid": os.getpid(),
        "cpu_seconds": time.process_time(),
        "rss_bytes": rss,
        "threads": threads,
        "open_files": _open_files(),
        "uptime": max(0.0, uptime),
    }


def memory_bytes() -> tuple[int | None, int | None]:
    """Return resident memory now and at its highest so far; None for what cannot be had here."""
    resident: int | None
    peak: int | None
    try:
        resident, peak = _kilobytes(b"\nVmRSS:"), _kilobytes(b"\nVmHWM:")
    except (OSError, ValueError, IndexError):
        resident = peak = peak_bytes()
    return resident, peak


def _kilobytes(label: bytes) -> int:
    return int(_read("/proc/self/status").partition(label)[2].split(maxsplit=1)[0]) * 1024


def peak_bytes() -> int | None:
    """Return the highest resident memory so far, as `resource` tells it; None on Windows, which lacks that.

    After an exec Linux counts what the program before it took as well, so /proc is asked first.
    """
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _open_files() -> int | None:
    for folder in (Path("/proc/self/fd"), Path("/dev/fd")):
        try:
            # Linux says it as the folder's size since 6.2, and 0 before; listing takes one more for itself.
            counted = folder.stat().st_size if folder.parts[1] == "proc" else 0
            return counted or len([*folder.iterdir()]) - 1
        except OSError:
            continue
    return None


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY)  # not open(): its buffers cost three times as much as the read
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)
