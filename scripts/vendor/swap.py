"""Puts a whole folder in the place of another: the old one or the new one is there, whatever interrupts.

The new folder is written beside the old one, then the old is moved aside and the new takes its name. What a killed
run has left is finished or undone by the next, before it looks at anything. If this is wrong, half a copy serves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..errors import CommandError

SUFFIXES = (".vendor-new", ".vendor-old")


def _new(target: Path) -> Path:
    return target.with_name(f".{target.name}.vendor-new")


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.vendor-old")


def recover(target: Path) -> None:
    """Finish or undo what a killed run has left."""
    new, old = _new(target), _old(target)
    if old.exists() and not target.exists():
        old.rename(target)
    if old.exists():
        shutil.rmtree(old)
    if new.exists():
        shutil.rmtree(new)


def put(target: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder be exactly these files.

    Raises:
        CommandError: It cannot be written; the old folder is as it was.
    """
    new, old = _new(target), _old(target)
    try:
        recover(target)
        for name, data in sorted(files.items()):
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if target.exists():
            target.rename(old)
        new.rename(target)
        if old.exists():
            shutil.rmtree(old)
    except OSError as error:
        _undo(target)
        where = error.filename or target
        raise CommandError(f"cannot write {where}: {error.strerror}; {target} is as it was") from None


def _undo(target: Path) -> None:
    try:
        recover(target)
    except OSError:
        pass  # the next run tries again; what failed first is told
