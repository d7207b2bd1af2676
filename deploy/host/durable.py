"""Files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(path: Path, text: str, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Write a file in place of the one that may be there; nobody sees half of it, or another mode.

    Args:
        path: its folder must exist.
        text: its contents.
        mode: permission bits.
        owner: user and group id; our own when None.

    Raises:
        OSError: it could not be written; the old one is untouched.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".harden", dir=path.parent)  # 0600
    made = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            if owner is not None:
                os.fchown(stream.fileno(), *owner)
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def link(path: Path, target: str) -> None:
    """Let a symbolic link lead somewhere else, at once: it always leads to the old or to the new place.

    Args:
        path: the link; it may not exist yet.
        target: where to, relative to the link's folder.

    Raises:
        OSError: it could not be made.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)  # of a run that was killed here
    new.symlink_to(target)
    new.replace(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file or link that may be there."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to disk: renames survive a power cut then."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
