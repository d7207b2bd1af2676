"""Becomes a host's systemd: lays out its root in namespaces that are new already, and leaves the machine's behind.

Run by its path, with nothing but this folder and the standard library: `inside.py FOLDER NAME BASE GROUP`. Every
mount is made in this mount namespace alone and ends with it.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

CLONE_NEWCGROUP = 0x02000000
# Taken from every process: modules, the clock and raw I/O are the machine's, and so is the kernel's log.
DROPPED = ",".join(f"-{name}" for name in (
    "sys_module", "sys_time", "sys_rawio", "syslog", "mac_admin", "mac_override", "audit_control", "audit_read",
    "wake_alarm", "block_suspend",
))  # fmt: skip
QUIET = "nosuid,nodev,noexec"
LINKS = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


def main(folder: Path, name: str, base: str, group: Path) -> None:
    """Record this process, lay out the root and become systemd.

    Args:
        folder: the host's.
        name: its name.
        base: the tree below its disk.
        group: its control group.
    """
    os.umask(0o022)
    record(folder / "init")
    (group / "cgroup.procs").write_text("0")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWCGROUP):
        raise OSError(ctypes.get_errno(), "no cgroup namespace")
    root = folder / "root"
    # What is written stays in the machine's cache over a power cut of ours: to wait for its disk proves nothing.
    layers = f"lowerdir={base},upperdir={folder}/upper,workdir={folder}/work,volatile"
    shutil.rmtree(folder / "work/work/incompat", ignore_errors=True)  # a volatile layer's mark of a power cut
    _mount("-t", "overlay", "-o", layers, "overlay", root)
    _mount_kernel(root)
    _mount_dev(root / "dev")
    _mount("-t", "tmpfs", "-o", "mode=755,nosuid,nodev", "tmpfs", root / "run")
    _mount("-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", root / "tmp")
    socket.sethostname(name)
    _become_systemd(root)


def _mount_kernel(root: Path) -> None:
    """Mount /proc and /sys; of the kernel's settings only the network's, the host's own, can be written."""
    _mount("-t", "proc", "-o", QUIET, "proc", root / "proc")
    for name in ("sys", "sysrq-trigger"):
        place = root / "proc" / name
        if place.exists():
            _mount("--bind", place, place)
            _mount("-o", "remount,bind,ro", place)
    net = root / "proc/sys/net"
    _mount("--bind", net, net)
    _mount("-o", "remount,bind,rw", net)
    _mount("-t", "sysfs", "-o", f"ro,{QUIET}", "sysfs", root / "sys")
    _mount("-t", "cgroup2", "-o", QUIET, "cgroup2", root / "sys/fs/cgroup")


def _mount_dev(dev: Path) -> None:
    _mount("-t", "tmpfs", "-o", "mode=755,nosuid", "tmpfs", dev)
    os.umask(0)
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        os.mknod(dev / name, 0o666 | stat.S_IFCHR, Path("/dev", name).stat().st_rdev)
    os.umask(0o022)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    _mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620,gid=5", "devpts", dev / "pts")
    _mount("-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", dev / "shm")
    for name, target in LINKS.items():
        (dev / name).symlink_to(target)


def _become_systemd(root: Path) -> None:
    os.chdir(root)
    subprocess.run(["pivot_root", ".", ".old"], check=True)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/.old"], check=True)
    environ = {"container": "lab", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TERM": "dumb"}
    systemd = ["/lib/systemd/systemd", "--system", "--show-status=0", "--log-target=journal"]
    os.execve("/usr/bin/setpriv", ["setpriv", f"--bounding-set={DROPPED}", *systemd], environ)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def record(path: Path) -> None:
    """Write down who this process is, as processes.py reads it."""
    pid = int(Path("/proc/self").readlink().name)
    when = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    path.with_suffix(".new").write_text(json.dumps([pid, when]))
    path.with_suffix(".new").rename(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
