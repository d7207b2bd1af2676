"""Who uses this machine's processors: the app, PostgreSQL, PgBouncer, what the app calls, the generator, others.

By processor time of whole process trees, from /proc. Processes are found by what they do (who listens where the
app is connected), not by guessed names. If a process is counted for the wrong part, the model moves its
bottleneck.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from ..errors import CommandError

PARTS = ("app", "database", "bouncer", "beside", "generator", "own", "others")
LOOPBACK = ("127.", "::1", "::ffff:127.")


@dataclass(frozen=True)
class _Seen:
    """A process as the last look saw it."""

    began: float
    used: float


class Usage:
    """Adds up processor seconds by part.

    Args:
        port: on which the app listens.
        postmaster: PostgreSQL's first process; 0 when that is not on this machine.

    Attributes:
        seconds: so far, by part.
        begun: processes of the app that began meanwhile.
        workers: processes below the app's first one; 0 where it was not found.
    """

    def __init__(self, port: int, postmaster: int = 0) -> None:
        self._port, self._postmaster = port, postmaster
        self._seen: dict[int, _Seen] = {}
        self._roots: dict[int, str] = {}
        self.workers = self.begun = 0
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._find()
        self.look()
        self.begun, self.seconds = 0, dict.fromkeys(PARTS, 0.0)

    @property
    def parts(self) -> frozenset[str]:
        """The parts that were found."""
        return frozenset(self._roots.values())

    def look(self) -> None:
        """Add what was used since the last look; a process that ended loses what it used after that."""
        now: dict[int, _Seen] = {}
        parents: dict[int, int] = {}
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    times, parents[process.pid] = process.cpu_times(), process.ppid()
                    now[process.pid] = _Seen(process.create_time(), times.user + times.system)
            except psutil.Error:
                continue
        for pid, seen in now.items():
            before = self._seen.get(pid)
            is_same = before is not None and before.began == seen.began
            used = seen.used - (before.used if before and is_same else 0.0)
            part = self._part(pid, parents)
            self.seconds[part] += used
            self.begun += part == "app" and not is_same
        self._seen = now

    def begin(self) -> None:
        """Count from now on."""
        self.look()
        self.begun, self.seconds = 0, dict.fromkeys(PARTS, 0.0)

    def boot(self) -> float:
        """Return what a worker that has just begun has used so far, in processor seconds."""
        used = [self._seen[pid].used for root, part in self._roots.items() if part == "app"
                for pid in _tree(root)[1:] if pid in self._seen]  # fmt: skip
        return sum(used) / len(used) if used else 0.0

    def _part(self, pid: int, parents: Mapping[int, int]) -> str:
        """Return the part of the nearest ancestor that has one; the engine is ours, and so are we."""
        own, first = os.getpid(), pid
        while pid and pid not in self._roots and pid != own:
            pid = parents.get(pid, 0)
        if pid in self._roots:
            return self._roots[pid]
        if pid == own:
            return "own" if first == own else "generator"
        return "others"

    def _find(self) -> None:
        listeners = _listeners()
        app = _outermost(listeners.get(self._port, []), self._port)
        if not app:
            return
        self._roots[app] = "app"
        self.workers = len(psutil.Process(app).children())
        if self._postmaster:
            self._roots[self._postmaster] = "database"
        for pid in self._called(listeners, _tree(app)):
            self._roots.setdefault(pid, "bouncer" if _name(pid) == "pgbouncer" else "beside")

    def _called(self, listeners: Mapping[int, list[int]], pids: Iterable[int]) -> set[int]:
        """Return who listens on this machine where these processes are connected by TCP."""
        found = set()
        for pid in pids:
            try:
                connections = psutil.Process(pid).net_connections("tcp")
            except psutil.Error:
                continue
            for each in connections:
                if each.raddr and each.raddr.ip.startswith(LOOPBACK) and each.raddr.port in listeners:
                    found.add(min(listeners[each.raddr.port]))
        own = {pid for pid, part in self._roots.items() if part == "app"} | {os.getpid()}
        return found - own


def postmaster_of(conn: Any) -> int:
    """Return the first process of a connection's server if it is on this machine, else 0."""
    pid = int(conn.info.backend_pid)
    try:
        parent = int(psutil.Process(pid).ppid())
    except psutil.Error:
        return 0
    return parent if _name(pid).startswith("postgres") and _name(parent).startswith("postgres") else 0


def _listeners() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    try:
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.pid:
                found.setdefault(each.laddr.port, []).append(each.pid)
    except psutil.AccessDenied:
        raise CommandError("this machine's processes cannot be seen; run it as root or the app's user") from None
    return found


def _outermost(pids: Iterable[int], port: int) -> int:
    """Return Gunicorn's master, not a worker that shares its socket."""
    for pid in sorted(pids):
        try:
            found = psutil.Process(pid)
            while (parent := found.parent()) is not None and _listens(parent, port):
                found = parent
            return int(found.pid)
        except psutil.Error:
            continue
    return 0


def _listens(process: psutil.Process, port: int) -> bool:
    return any(
        each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in process.net_connections("tcp")
    )


def _tree(root: int) -> list[int]:
    try:
        return [root, *(child.pid for child in psutil.Process(root).children(recursive=True))]
    except psutil.Error:
        return [root]


def _name(pid: int) -> str:
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return ""
