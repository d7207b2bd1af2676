"""A folder with rendered files: DIR/<kind>/<path on the host>, and a manifest that says whose the folder is.

Only a folder with that manifest is written to, and only files that it names are removed. Knows no contents.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.files import File
from deploy.host import durable
from deploy.host_files import KINDS

from ..errors import CommandError

MANIFEST = "harden-render.json"
FORMAT = 1
Place = tuple[str, str]  # kind of host, path there


def write(folder: Path, files: Mapping[str, Iterable[File]]) -> list[Place]:
    """Write files into a folder, and remove those of an earlier time that are no more.

    Args:
        folder: missing, empty, or made by this.
        files: by kind of host.

    Returns:
        The files that were removed.

    Raises:
        CommandError: the folder is somebody else's, or cannot be written.
    """
    wanted = {(kind, file.path): file for kind, each in files.items() for file in each}
    try:
        before = _open(folder)
        if any(file.is_secret for file in wanted.values()):
            folder.chmod(0o700)  # before the first secret lies in it
        gone = sorted(set(before) - set(wanted))
        # All that may lie there at any moment is named, so that a run that was killed leaves nothing behind.
        _write_manifest(folder, {**before, **wanted})
        for (kind, path), file in sorted(wanted.items()):
            place = _place(folder, kind, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            durable.replace(place, file.text, 0o600 if file.is_secret else 0o644)
        for kind, path in gone:
            _remove(folder, _place(folder, kind, path))
        _write_manifest(folder, wanted)
    except OSError as error:
        raise CommandError(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    return gone


def read(folder: Path) -> dict[Place, File]:
    """Return the files of a rendered folder.

    Raises:
        CommandError: it is none, or not whole.
    """
    found = {}
    for (kind, path), file in _manifest(folder).items():
        try:
            text = _place(folder, kind, path).read_bytes().decode(errors="replace")
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be read: {error.strerror}; render it again") from None
        found[kind, path] = replace(file, text=text)
    return found


def _open(folder: Path) -> dict[Place, File]:
    """Return what lies in the folder of an earlier time, having made it when it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / MANIFEST).exists():
        return _manifest(folder)
    if any(folder.iterdir()):
        raise CommandError(f"{folder} has files, and no {MANIFEST}: this did not make it; give another --output")
    return {}


def _manifest(folder: Path) -> dict[Place, File]:
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return dict(map(_told, told["files"]))
    except FileNotFoundError:
        raise CommandError(f"{folder} has no {MANIFEST}; render into it first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{folder / MANIFEST} cannot be used ({error}); remove the folder") from None


def _told(each: dict[str, Any]) -> tuple[Place, File]:
    kind, path = each["kind"], each["path"]
    # It may be anybody's: what it names must not lie outside of the folder.
    if kind not in KINDS or not path.startswith("/") or posixpath.normpath(path) != path or "//" in path:
        raise ValueError(f"it names {path[:60]!r}")
    file = File(path, "", each["mode"], each["owner"], each["group"], each["is_secret"], each["reload"])
    return (kind, path), file


def _write_manifest(folder: Path, files: Mapping[Place, File]) -> None:
    told = [
        {
            "kind": kind, "path": path, "mode": file.mode, "owner": file.owner, "group": file.group,
            "is_secret": file.is_secret, "reload": file.reload,
        }
        for (kind, path), file in sorted(files.items())
    ]  # fmt: skip
    durable.replace(folder / MANIFEST, json.dumps({"format": FORMAT, "files": told}, indent=1) + "\n")


def _place(folder: Path, kind: str, path: str) -> Path:
    """Return where a file lies.

    Raises:
        CommandError: a link on the way leads elsewhere.
    """
    place = folder / kind / path.lstrip("/")
    for parent in place.parents:
        if parent == folder:
            break
        if parent.is_symlink():
            raise CommandError(f"{parent} is a link, and files would go elsewhere; remove it")
    return place


def _remove(folder: Path, place: Path) -> None:
    place.unlink(missing_ok=True)
    for parent in place.parents:
        if parent == folder:
            break
        with contextlib.suppress(OSError):  # it has other files
            parent.rmdir()
