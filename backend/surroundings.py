"""Where this process runs: production or not, in a container, as a systemd service, under which server, with what.

One answer for every warning, so that two of them never disagree. Reads small files of the kernel's, and the
environment through the settings; starts nothing and never fails: what cannot be known is None.
Must not import Flask. If this is wrong, a warning comes where it does not belong, or a container of one core gets
sixty-four workers.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .settings import environment_name, variable

ROOT = Path("/")
_UNIT = re.compile(r"/([^/]+\.service)(?:/[^/]*)?$")
_IN_CGROUP = (("kubepods", "kubernetes"), ("docker", "docker"), ("libpod", "podman"), ("lxc", "lxc"))


@dataclass(frozen=True)
class Environment:
    """Where this process runs.

    Attributes:
        name: "production", "development" or "test", as the settings say.
        told_by: The variable that says so; "" when nothing does, which means production.
        container: "docker", "podman", "kubernetes", "lxc" or another manager's name; None for none.
        service: The systemd unit, "shop.service"; None when it is none's.
        server: "gunicorn", "flask" (the development server), "uwsgi"; None for another or none.
        workers: How many processes that server has been told to run; None when it does not say.
        cores: Processors that may be used: the affinity, and a container's quota, which may be half of one.
        memory_bytes: The limit of the control group; None for none.
    """

    name: str
    told_by: str
    container: str | None
    service: str | None
    server: str | None
    workers: int | None
    cores: float
    memory_bytes: int | None

    @property
    def is_production(self) -> bool:
        """Whether mistakes cost money here."""
        return self.name == "production"

    def __str__(self) -> str:
        where = [self.container and f"{self.container} container", self.service and f"systemd {self.service}"]
        return ", ".join(filter(None, [self.name, *where]))


def environment(root: Path = ROOT) -> Environment:
    """Return where this process runs; asks anew each time, in well under a millisecond.

    Args:
        root: What stands for `/`; another one in tests.
    """
    name, told_by = environment_name()
    group = _cgroup(root)
    return Environment(
        name, told_by, _container(root, group), _service(group), _server(), _workers(), _cores(root, group),
        _memory(root, group),
    )  # fmt: skip


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _cgroup(root: Path) -> str:
    """Return this process's control group: version 2's, else systemd's of version 1."""
    lines = [line.split(":", 2) for line in _read(root / "proc/self/cgroup").splitlines() if line.count(":") >= 2]
    known = {names: path for _, names, path in lines}
    return known.get("") or known.get("name=systemd") or next(iter(known.values()), "")


def _container(root: Path, group: str) -> str | None:
    if variable("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    named = _read(root / "run/systemd/container")  # what systemd was told by whoever started it
    return named or next((kind for word, kind in _IN_CGROUP if word in group), None)


def _service(group: str) -> str | None:
    """Return the unit: a shell in somebody's session has the variable as well, but lies in a `.scope`."""
    found = _UNIT.search(group) if variable("INVOCATION_ID") else None
    return None if found is None or found[1].startswith("user@") else found[1]


def _server() -> str | None:
    if variable("WERKZEUG_RUN_MAIN") or variable("FLASK_RUN_FROM_CLI"):
        return "flask"
    software = variable("SERVER_SOFTWARE") or ""
    if software.startswith("gunicorn") or _gunicorn() is not None:
        return "gunicorn"
    return "uwsgi" if variable("UWSGI_ORIGINAL_PROC_NAME") else None


def _gunicorn() -> object | None:
    """Return Gunicorn's worker, or its master: the signals of either are handled by its own methods."""
    owner: object = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return owner if type(owner).__module__.startswith("gunicorn.") else None


def _workers() -> int | None:
    asked = getattr(getattr(_gunicorn(), "cfg", None), "workers", None)
    return asked if isinstance(asked, int) else None


def _cores(root: Path, group: str) -> float:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return float(min([available, *_limits(root, group, _quota)]))


def _memory(root: Path, group: str) -> int | None:
    return min((int(each) for each in _limits(root, group, _bytes)), default=None)


def _limits(root: Path, group: str, read: Callable[[Path], float | None]) -> list[float]:
    """Return the limits of a control group and of those around it; inside a container its own is the root."""
    top = root / "sys/fs/cgroup"
    inner = Path(group.lstrip("/"))
    folders = [top, *(top / part for part in (inner, *inner.parents) if part != Path())]
    return [found for found in map(read, folders) if found is not None]


def _quota(folder: Path) -> float | None:
    """Return the processors of a quota; of version 1 the folder is the controller's."""
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    if not period:
        quota, period = _read(folder / "cpu/cpu.cfs_quota_us"), _read(folder / "cpu/cpu.cfs_period_us")
    is_limited = quota.isdigit() and period.isdigit() and int(period) > 0
    return int(quota) / int(period) if is_limited else None


def _bytes(folder: Path) -> float | None:
    limit = _read(folder / "memory.max") or _read(folder / "memory/memory.limit_in_bytes")
    return int(limit) if limit.isdigit() and int(limit) < 2**60 else None  # version 1 says "none" by a huge one
