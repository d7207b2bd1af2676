"""Writes the mended files into the repository: all of them, or none.

Every new text lies beside its file before the first one takes its name. What goes wrong on the way puts back what
was there, signals included; a process that is killed leaves each file old or new, never half.
"""

from __future__ import annotations

import os
import secrets
import signal
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CommandError
from .checks import Refused, parses
from .result import Changed
from .tree import is_inside


def write(root: Path, files: Sequence[Changed]) -> None:
    """Write all files.

    Raises:
        CommandError: One cannot be written, or is not what was read; nothing is changed then.
    """
    root = root.resolve()
    drafts: list[tuple[Path, Path, Changed]] = []
    try:
        for each in files:
            _check(root, each)
            target = root / each.path
            drafts.append((_draft(target, each), target, each))
        _rename(drafts)
    except OSError as error:
        name = error.filename or root
        raise CommandError(f"cannot write {name}: {error.strerror}; every file is as it was") from None
    finally:
        for draft, _, _ in drafts:
            with suppress(OSError):
                draft.unlink()


def _check(root: Path, changed: Changed) -> None:
    """See that a file is still what the change was made for, and that what it becomes is Python."""
    target = root / changed.path
    if not is_inside(root, changed.path):
        raise CommandError(f"{changed.path} is a link, or outside of {root}; nothing was written")
    try:
        now: bytes | None = target.read_bytes()
    except FileNotFoundError:
        now = None
    if now != changed.before:
        raise CommandError(f"{changed.path} was changed meanwhile; nothing was written, run harden fix again")
    if changed.path.endswith(".py"):
        try:
            parses(changed.path, changed.after)
        except Refused as refused:
            raise CommandError(f"{refused}; nothing was written") from None


def _draft(target: Path, changed: Changed) -> Path:
    """Write a new text beside its file, with the file's mode and owner."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(changed.after)
            file.flush()
            if changed.before is not None:
                _like(target, file.fileno())
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def _like(target: Path, descriptor: int) -> None:
    known = target.stat()
    with suppress(PermissionError):
        os.fchown(descriptor, known.st_uid, known.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(known.st_mode))


def _rename(drafts: Sequence[tuple[Path, Path, Changed]]) -> None:
    """Let all drafts take their names; put back what was there when that is interrupted."""
    done: list[tuple[Path, Changed]] = []
    try:
        for draft, target, changed in drafts:
            done.append((target, changed))
            draft.replace(target)
    except BaseException as error:
        with _undisturbed():
            stuck = [changed.path for target, changed in reversed(done) if not _put_back(target, changed)]
        if stuck:
            raise CommandError(f"stopped while writing, and {', '.join(stuck)} could not be put back; "
                               "take them from git: git checkout -- FILE") from error  # fmt: skip
        if not isinstance(error, OSError):
            print("harden: stopped while writing; every file is as it was, run harden fix again", file=sys.stderr)
        raise


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait; SIGTERM does so after the first one."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # signals are the main thread's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _put_back(target: Path, changed: Changed) -> bool:
    try:
        if changed.before is None:
            target.unlink(missing_ok=True)
        elif target.read_bytes() != changed.before:
            draft = _draft(target, Changed(changed.path, changed.after, changed.before))
            draft.replace(target)
    except OSError:
        return False
    return True
