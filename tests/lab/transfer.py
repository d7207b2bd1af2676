"""Files into a host and out of it, as one tar archive each way through a command that runs there."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from . import execution
from .errors import LabError

if TYPE_CHECKING:
    from .host import Host


def write(host: Host, path: str, text: str, mode: int) -> None:
    """Write a file of root's, with the folders above it; raises as `copy`."""
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.size, entry.mode = len(text.encode()), mode
    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.addfile(entry, io.BytesIO(text.encode()))
        _unpack(host, packed, 60)


def copy(host: Host, source: Path, target: str, timeout: float) -> None:
    """Copy what is here to a path there, as root's.

    Raises:
        LabError: the host is off or frozen, or has no room.
    """
    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(source, arcname=target.lstrip("/"), filter=_as_root)
        _unpack(host, packed, timeout)


def fetch(host: Host, path: str, target: Path, timeout: float) -> None:
    """Copy what is there to a path here.

    Raises:
        LabError: it is not there, or is no plain file or folder.
    """
    where = PurePosixPath(path)
    command = ("tar", "-C", str(where.parent), "-cf", "-", "--", where.name)
    with tempfile.TemporaryFile() as packed, tempfile.TemporaryFile() as nothing:
        enter = host.command(*command, timeout=timeout)
        done = execution.streamed(enter, command, given=nothing, out=packed, timeout=timeout)
        if done.returncode:
            raise LabError(f"{host.name}: cannot read {path}: {execution.last_line(done.stderr)}")
        packed.seek(0)
        with tempfile.TemporaryDirectory(dir=target.parent) as beside, tarfile.open(fileobj=packed) as tar:
            tar.extractall(beside, filter="data")  # what a host sends stays below the folder
            shutil.move(Path(beside) / where.name, target)


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return None if PurePosixPath(entry.name).name == "__pycache__" else entry


def _unpack(host: Host, packed: IO[bytes], timeout: float) -> None:
    packed.seek(0)
    command = ("tar", "-C", "/", "--no-overwrite-dir", "-xpf", "-")
    enter = host.command(*command, timeout=timeout)
    with tempfile.TemporaryFile() as out:
        done = execution.streamed(enter, command, given=packed, out=out, timeout=timeout)
    if done.returncode:
        raise LabError(f"{host.name}: cannot write: {execution.last_line(done.stderr)}")
