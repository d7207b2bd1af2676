"""Who listens on a port of this host, as the kernel says; no program has to be installed for it.

Knows /proc and no service. If this is wrong, a front does not start, and says so itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTENS = "0A"  # of the kernel's states of a socket


@dataclass(frozen=True)
class Holder:
    """A process that listens.

    Attributes:
        port: where.
        name: its program's, "" when the kernel does not say.
        pid: 0 when the kernel does not say.
    """

    port: int
    name: str
    pid: int

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else "a process that cannot be seen"


def holders(ports: Iterable[int], proc: Path = PROC) -> tuple[Holder, ...]:
    """Return who listens on ports, on any address; a port that nobody has is not among them."""
    inodes = _listening(proc, set(ports))
    if not inodes:
        return ()
    found = {port: Holder(port, "", 0) for port in inodes.values()}
    for pid in sorted(int(path.name) for path in proc.iterdir() if path.name.isdigit()):
        for inode in _sockets(proc / str(pid)):
            if inode in inodes and not found[inodes[inode]].pid:
                found[inodes[inode]] = Holder(inodes[inode], _name(proc / str(pid)), pid)
    return tuple(found[port] for port in sorted(found))


def _listening(proc: Path, ports: set[int]) -> dict[str, int]:
    """Return ports by the inode of the socket that listens there."""
    inodes = {}
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            port = int(words[1].rpartition(":")[2], 16)
            if words[3] == LISTENS and port in ports:
                inodes[words[9]] = port
    return inodes


def _sockets(process: Path) -> list[str]:
    found = []
    try:
        for handle in (process / "fd").iterdir():
            target = str(handle.readlink())
            if target.startswith("socket:["):
                found.append(target[8:-1])
    except OSError:
        pass  # it has ended, or is not ours to look into
    return found


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""
