"""The run folder that a service makes for itself when HARDEN_RUN_DIR names none: Gunicorn's master calls this.

It lies in memory where that is possible, is the workers' alone, and goes when the master ends. What a killed
master left is removed by the next one of the same user. Must not import Flask.
If this is wrong, workers show their own figures only, or folders pile up.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from . import run_folder

log = logging.getLogger(__name__)
MEMORY = Path("/dev/shm")
YOUNG = 60.0  # seconds in which a new folder's master has taken its lock


def choose() -> str:
    """Return where the folder shall be; nothing is made yet."""
    base = MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    return str(base / f"{_prefix()}{secrets.token_hex(8)}")


def hold(path: str, uid: int, gid: int) -> None:
    """Make the folder, for workers that run as somebody, and keep it from being cleaned away. Raises nothing."""
    _clean(Path(path).parent)
    folder = run_folder.open_folder(path)
    master = folder.worker  # takes a lock, which says that somebody lives here
    if folder.path is None or (uid, gid) == (os.geteuid(), os.getegid()):
        return
    try:
        os.chown(folder.path, uid, gid)
    except OSError as error:
        log.warning("master %s cannot give %s to user %d (%s); see HARDEN_RUN_DIR", master, path, uid, error)


def remove(path: str) -> None:
    """Remove the folder, unless somebody else lives in it: a new master after an upgrade on the fly."""
    folder = Path(path)
    own = run_folder.open_folder(path).worker
    if _is_ours(folder) and not _is_lived_in(folder, own):
        shutil.rmtree(folder, ignore_errors=True)


def _prefix() -> str:
    return f"harden-figures-{os.geteuid()}-"


def _clean(base: Path) -> None:
    for folder in base.glob(f"{_prefix()}*"):
        if _is_ours(folder) and not _is_young(folder) and not _is_lived_in(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    """Tell whether it is a folder that we have made, and no link."""
    try:
        is_folder = folder.is_dir() and not folder.is_symlink()
        is_owned = os.geteuid() in (0, folder.lstat().st_uid)  # root's workers are somebody else
    except OSError:
        return False
    return is_folder and is_owned and folder.name.startswith(_prefix())


def _is_young(folder: Path) -> bool:
    try:
        return time.time() - folder.lstat().st_mtime < YOUNG
    except OSError:
        return True


def _is_lived_in(folder: Path, own: str = "") -> bool:
    return any(run_folder.is_held(lock) for lock in folder.glob("*.lock") if lock.stem != own)
