"""The processes behind a port of this machine: their processor time, memory and open files, by psutil."""

from __future__ import annotations

from typing import Any

import psutil

MEBIBYTE = 1 << 20


class ServerProcesses:
    """The process that listens on a port, and its children.

    Args:
        port: on this machine.

    Nothing is known of processes of other users, unless we are root.
    """

    def __init__(self, port: int) -> None:
        self._root = _listener(port)
        self._used: dict[int, float] = {}

    def sample(self) -> dict[str, float | None]:
        """Return processor seconds since the last call (0 at the first), resident MiB and open files of all."""
        tree = self._tree()
        if not tree:
            return {"cpu_seconds": None, "rss_mb": None, "files": None}
        before, self._used = self._used, {}
        used = memory = files = 0.0
        for process in tree:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory += process.memory_info().rss / MEBIBYTE
                    files += process.num_fds()
            except psutil.Error:
                continue  # it ended meanwhile
            self._used[process.pid] = times.user + times.system
            used += self._used[process.pid] - before.get(process.pid, self._used[process.pid])
        return {"cpu_seconds": max(used, 0.0), "rss_mb": memory, "files": files}

    def _tree(self) -> list[psutil.Process]:
        if self._root is None:
            return []
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []


def _listener(port: int) -> psutil.Process | None:
    """Return who listens on the port: of workers that share the socket with their master, the master."""
    try:
        sockets = psutil.net_connections("tcp")
        pids = {each.pid for each in sockets if _listens(each, port)} - {None}
        found = psutil.Process(min(pids)) if pids else None
        while found is not None and (parent := found.parent()) is not None:
            if not any(_listens(each, port) for each in parent.net_connections("tcp")):
                break
            found = parent
        return found
    except psutil.Error:
        return None


def _listens(socket: Any, port: int) -> bool:
    return bool(socket.status == psutil.CONN_LISTEN and socket.laddr.port == port)
