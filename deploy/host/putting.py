"""Writes the files of a kind of host, remembers which they are, and goes on where a run was interrupted.

A mark lies there while files may be newer than what those who read them know: a run that finds it has them read
everything again. If this is wrong, a service runs on with what it read before a power cut, and an uninstall leaves
files behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..files import File
from . import durable, tree
from .apply import apply, differences, take_over
from .places import Places
from .steps import Steps


def folder_of(places: Places, kind: str) -> Path:
    """Return where the files of a kind are remembered; a release's own are with the release."""
    return places.applied if kind == "app" else places.state / f"applied-{kind}"


def remembered(places: Places, kind: str) -> tuple[File, ...]:
    """Return the files that an install has written; none before the first."""
    folder = folder_of(places, kind)
    return tree.load(folder) if (folder / "manifest.json").exists() else ()


def put(
    places: Places, kind: str, files: Sequence[File], steps: Steps, say: Callable[[str], None]
) -> None:
    """Write the files of a kind where they differ, and have them read.

    Raises:
        HostError: one cannot be written, or is refused.
    """
    before = remembered(places, kind)
    is_unfinished = _mark(places).exists()
    changes = differences(files, before, places.root)
    if not changes and not is_unfinished:
        if before != tuple(files) and not steps.is_dry:
            _remember(places, kind, files)  # a release has written them meanwhile
        return
    if steps.is_dry:
        steps(f"write {len(changes)} files of kind {kind}", lambda: None)
        for change in changes:
            say(f"  {change.kind}: {change.path} {change.file.mode:04o} {change.file.owner}:{change.file.group}")
        return
    text = f"write {len(changes)} files of kind {kind}"
    steps(text, lambda: _put(places, kind, files, before, is_unfinished, say))


def _put(
    places: Places, kind: str, files: Sequence[File], before: Sequence[File], is_unfinished: bool,
    say: Callable[[str], None],
) -> None:  # fmt: skip
    if not before:
        _remember(places, kind, files)  # at once, so that what is written can be found again
    durable.replace(_mark(places), "", 0o600)
    if is_unfinished:
        there = [file for file in files if (places.root / file.path.lstrip("/")).exists()]
        take_over([file for file in there if file.path.startswith(("/etc/sysusers.d/", "/etc/tmpfiles.d/"))])
    apply(files, before, places.root, lambda line: say(f"  {line}"))
    if is_unfinished:
        take_over(files)
    _remember(places, kind, files)
    durable.remove(_mark(places))


def _remember(places: Places, kind: str, files: Sequence[File]) -> None:
    folder = folder_of(places, kind)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    tree.save(folder, files)


def _mark(places: Places) -> Path:
    return places.state / "unread"
