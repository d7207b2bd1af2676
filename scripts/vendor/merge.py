"""A new version of the runtime together with what people changed in their copy: three ways, by git's own merge.

Computes, and writes nothing into the copy. If this is wrong, an upgrade undoes somebody's work.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import CommandError


@dataclass
class Merged:
    """What an upgrade comes to.

    Attributes:
        files: Every file of the new copy, people's own included.
        conflicts: Why it cannot be, by path.
        marked: The files with conflict markers, by path.
        replaced, merged, added, removed, kept: Paths, for what is told.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    conflicts: dict[str, str] = field(default_factory=dict)
    marked: dict[str, bytes] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def merge(base: Mapping[str, bytes], mine: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> Merged:
    """Merge a copy with a new version.

    Args:
        base: What was delivered.
        mine: What the copy is now.
        theirs: The new version.
    """
    result = Merged()
    for name in sorted({*base, *mine, *theirs}):
        _one(result, name, base.get(name), mine.get(name), theirs.get(name))
    return result


def _one(result: Merged, name: str, base: bytes | None, mine: bytes | None, theirs: bytes | None) -> None:
    if theirs is None:
        _gone(result, name, base, mine)
    elif mine is None:
        if base is None:
            result.files[name] = theirs
            result.added.append(name)
        elif _same(base, theirs):
            result.kept.append(name)  # deleted here, unchanged there
        else:
            result.conflicts[name] = "deleted here, and changed in the new version"
    elif _same(mine, theirs) or (base is not None and _same(base, theirs)):
        result.files[name] = mine
    elif base is not None and _same(mine, base):
        result.files[name] = theirs
        result.replaced.append(name)
    else:
        _both(result, name, base or b"", mine, theirs)


def _gone(result: Merged, name: str, base: bytes | None, mine: bytes | None) -> None:
    if mine is None:
        return
    if base is None:
        result.files[name] = mine  # a person's own
        result.kept.append(name)
    elif _same(base, mine):
        result.removed.append(name)
    else:
        result.conflicts[name] = "changed here, and gone in the new version"


def _both(result: Merged, name: str, base: bytes, mine: bytes, theirs: bytes) -> None:
    text, count = _merged(base, mine, theirs)
    if count:
        result.conflicts[name] = f"{count} place(s) were changed both here and in the new version"
        result.marked[name] = text
    else:
        result.files[name] = text
        result.merged.append(name)


def _merged(base: bytes, mine: bytes, theirs: bytes) -> tuple[bytes, int]:
    """Return the merged text and the number of conflicts."""
    with tempfile.TemporaryDirectory(prefix="harden-vendor-") as folder:
        paths = [Path(folder) / name for name in ("yours", "delivered", "new")]
        for path, data in zip(paths, (mine, base, theirs)):  # noqa: B905 -- of one length
            path.write_bytes(data.replace(b"\r\n", b"\n"))  # a checkout may have other line ends than the kit
        command = ["git", "merge-file", "-p", "-L", "yours", "-L", "delivered", "-L", "new", *map(str, paths)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        except FileNotFoundError:
            raise CommandError(
                "an edited copy is merged by git, which is not installed; apt install git"
            ) from None
    if done.returncode < 0 or done.returncode > 127:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise CommandError(f"git merge-file failed: {said[-1]}")
    text = done.stdout.replace(b"\n", b"\r\n") if b"\r\n" in mine else done.stdout
    return text, done.returncode


def _same(one: bytes, other: bytes) -> bool:
    return one.replace(b"\r\n", b"\n") == other.replace(b"\r\n", b"\n")
