"""Rendered files in a folder: a release keeps its configuration so, and a rollback brings the same bytes back.

`manifest.json` has modes, owners and hashes; texts lie below `root/`. The folder is root's alone: verifiers are in
it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import File
from . import durable
from .errors import HostError

FORMAT = 1


def save(folder: Path, files: Sequence[File]) -> None:
    """Write files into a folder, in place of what is in it; the manifest comes last: then all are there.

    Raises:
        OSError: it could not be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(folder / "root", ignore_errors=True)
    for file in files:
        place = _place(folder, file.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        durable.replace(place, file.text, 0o600)
    told = {"format": FORMAT, "files": [_told(file) for file in files]}
    durable.replace(folder / "manifest.json", json.dumps(told, indent=1) + "\n", 0o600)


def load(folder: Path) -> tuple[File, ...]:
    """Return the files of a folder.

    Raises:
        HostError: it is not complete, or somebody has changed it.
    """
    try:
        told = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return tuple(_file(folder, each) for each in told["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HostError(f"{folder} has no complete configuration ({error}); make the release anew") from None


def _place(folder: Path, path: str) -> Path:
    return folder / "root" / path.lstrip("/")


def _told(file: File) -> dict[str, Any]:
    return {
        "path": file.path, "mode": file.mode, "owner": file.owner, "group": file.group,
        "is_secret": file.is_secret, "reload": file.reload, "sha256": _hash(file.text),
    }  # fmt: skip


def _file(folder: Path, told: dict[str, Any]) -> File:
    text = _place(folder, told["path"]).read_text(encoding="utf-8")
    if _hash(text) != told["sha256"]:
        raise ValueError(f"{told['path']} has been changed")
    return File(told["path"], text, told["mode"], told["owner"], told["group"], told["is_secret"], told["reload"])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
