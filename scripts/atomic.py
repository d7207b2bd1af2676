"""Write a file whole or not at all: what reads it sees the old text or the new one, never half of either."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path


class WriteError(OSError):
    """A file was not written; what stood there before still does."""

    def __str__(self) -> str:
        return f"cannot write {self.filename}: {self.strerror}; nothing was changed, check folder and free space"


def write_atomically(path: Path | str, text: str) -> None:
    """Write text as UTF-8, as `write_bytes_atomically`."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path | str, data: bytes) -> None:
    """Write bytes through a temporary file beside it, synced before it takes the name.

    An existing file keeps its mode, a new one gets the umask's; a symlink stays and its target is replaced.

    Raises:
        WriteError: The folder is missing, read-only or full; an OSError with its errno and filename.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        # Not mkstemp: its mode 0600 would make a report unreadable for the web server beside it.
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            _keep_mode(target, file.fileno())
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError as error:
        raise WriteError(error.errno, error.strerror, str(path)) from error
    finally:
        _discard(draft)


def _keep_mode(target: Path, descriptor: int) -> None:
    try:
        os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
    except FileNotFoundError:
        pass


def _discard(draft: Path) -> None:
    # Gone after a success; and where it could not be made, the reason has been given already.
    try:
        draft.unlink()
    except OSError:
        pass
