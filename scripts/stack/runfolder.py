"""One folder per run, held by a lock for as long as the run lives.

The lock tells a living run from a dead one whatever the process ids say: the kernel drops it when its holder
dies, however it dies. A dead run's processes are found by their records and by a mark in their environment.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

from deploy.inputs import PATH

from ..errors import CommandError
from .locks import held, locked

MARK = "_HARDEN_RUN"  # every process of a run has it in its environment
KEEP_LOGS = 5
LONGEST = 60  # of the state folder's path: a socket's address has 108 bytes, and the rest is ours


def state_folder(wanted: str | None = None) -> Path:
    """Return the folder for all runs of this user, made when missing.

    Args:
        wanted: HARDEN_STATE; a folder under the system's temporary one when None.

    Raises:
        CommandError: it cannot be written, belongs to somebody else, or its path is too long for a socket.
    """
    base = Path(wanted) if wanted else Path(tempfile.gettempdir()) / f"harden-{os.geteuid()}"
    base = base.absolute()
    if not PATH.fullmatch(str(base)):
        raise CommandError(
            f"{str(base)!r} has characters that a server's configuration cannot hold (spaces, quotes, accents); "
            "set HARDEN_STATE to a plain path"
        )
    if len(str(base)) > LONGEST:
        raise CommandError(
            f"{base} is too long for a socket ({LONGEST} at most); set HARDEN_STATE to a shorter path"
        )
    try:
        _make(base, keep_mode=wanted is not None)
        with tempfile.TemporaryFile(dir=base):
            pass
    except OSError as error:
        raise CommandError(
            f"cannot write to {base} ({error.strerror}); set HARDEN_STATE to a folder of yours"
        ) from None
    closed = [folder for folder in (base, *base.parents) if not folder.stat().st_mode & 0o001]
    if closed and os.geteuid() == 0:
        raise CommandError(
            f"the database's user cannot pass through {closed[-1]} (PostgreSQL never runs as root); "
            "set HARDEN_STATE to a folder outside it"
        )
    return base


def _make(base: Path, keep_mode: bool) -> None:
    """Make the folder, or see that nobody else can write to the one that is there.

    The mode of a folder that somebody named is theirs: it may be a home, or /tmp itself.
    """
    mode = 0o711 if os.geteuid() == 0 else 0o700  # as root, the database's user must pass through
    if not base.exists():
        base.mkdir(parents=True, mode=mode)
        keep_mode = False  # the umask may have taken some of it
    if {base.stat().st_uid, base.lstat().st_uid} != {os.geteuid()}:  # a symlink in /tmp may be another's trap
        raise CommandError(f"{base} belongs to another user; set HARDEN_STATE to a folder of yours")
    if not keep_mode:
        base.chmod(mode)
    elif base.stat().st_mode & 0o022:
        raise CommandError(
            f"others can write to {base}; set HARDEN_STATE to a folder of yours alone, say {base}/harden"
        )


class RunFolder:
    """The folder of one run.

    Attributes:
        path: the folder.
        logs: where its servers log.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        with locked(base / "lock"):
            _clean_dead(base)
            self.path = Path(tempfile.mkdtemp(prefix="run-", dir=base))
            self._lock = held(self.path / "owner.lock")
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self.logs = self.path / "logs"
        for folder in (self.logs, self.path / "processes"):
            folder.mkdir(mode=0o700)  # servers get their log open; what apps log is for nobody else

    def record(self, name: str, pid: int) -> None:
        """Remember a process, for the next run to end should this one be killed."""
        (self.path / "processes" / name).write_text(json.dumps([pid, start_time(pid)]))

    def keep_logs(self) -> Path | None:
        """Copy the logs out of the folder, and return where they are now; the last five sets are kept."""
        if not any(self.logs.iterdir()):
            return None
        kept = Path(tempfile.mkdtemp(prefix=f"failed-{time.strftime('%Y%m%d-%H%M%S')}-", dir=self.base))
        shutil.copytree(self.logs, kept, dirs_exist_ok=True)
        os.utime(kept)  # copytree took the original's time
        for old in sorted(self.base.glob("failed-*"), key=_modified)[:-KEEP_LOGS]:
            shutil.rmtree(old, ignore_errors=True)
        return kept

    def remove(self) -> None:
        """End what is left of the run, and delete the folder."""
        _end_processes(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def start_time(pid: int) -> str:
    """Return when the process started, in the kernel's ticks; tells a reused process id from the old one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_alive(folder: Path) -> bool:
    """Tell whether the run that made the folder still goes on."""
    try:
        held(folder / "owner.lock").close()
    except FileNotFoundError:
        return False
    except OSError:
        return True  # locked
    return False


def _modified(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0  # another run has just removed it


def _clean_dead(base: Path) -> None:
    for folder in base.glob("run-*"):
        try:
            handle = held(folder / "owner.lock")
        except OSError:
            continue  # alive, or being removed by another run
        with handle:
            _end_processes(folder)
            shutil.rmtree(folder, ignore_errors=True)


def _end_processes(folder: Path) -> None:
    """Kill every process of a run, and wait until they are gone."""
    started = time.monotonic()
    while (pids := _processes(folder)) and time.monotonic() < started + 10:
        # To each of our servers QUIT says "at once", and PostgreSQL then gives its shared memory back.
        how = signal.SIGQUIT if time.monotonic() < started + 1 else signal.SIGKILL
        for pid in pids:
            try:
                os.kill(pid, how)
            except OSError:
                pass  # gone already
        time.sleep(0.02)


def _processes(folder: Path) -> set[int]:
    found = set()
    for record in (folder / "processes").glob("*"):
        try:
            pid, started = json.loads(record.read_text())
        except (OSError, ValueError):
            continue
        if started and start_time(pid) == started:
            found.add(pid)
    for entry in Path("/proc").iterdir():
        if run_of(entry) in (folder, folder.resolve()):
            found.add(int(entry.name))
    return {pid for pid in found if pid != os.getpid() and not _is_zombie(pid)}


def run_of(process: Path) -> Path | None:
    """Return the folder of the run that a process belongs to, by its folder in /proc."""
    if not process.name.isdigit():
        return None
    try:
        for variable in (process / "environ").read_bytes().split(b"\0"):
            if variable.startswith(f"{MARK}=".encode()):
                return Path(os.fsdecode(variable.partition(b"=")[2]))
        # PostgreSQL's backends write their title over their environment; they stay in the data folder.
        place = (process / "cwd").readlink()
        is_backend = place.parts[-2:] == ("postgres", "data") and place.parts[-3].startswith("run-")
        return place.parents[1] if is_backend else None
    except (OSError, IndexError):
        return None  # not ours to read, or gone


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True
