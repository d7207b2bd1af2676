"""Compares rendered files with those in golden/; GOLDEN=write accepts them, and git shows what changed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from deploy.files import File

GOLDEN = Path(__file__).resolve().parent / "golden"


def assert_golden(folder: str, files: Iterable[File]) -> None:
    """Assert that a folder below golden/ has these files, byte for byte, and no others."""
    place = GOLDEN / folder
    rendered = {file.path.lstrip("/"): file.text for file in files}
    if os.environ.get("GOLDEN") == "write":
        shutil.rmtree(place, ignore_errors=True)
        for path, text in rendered.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(text, encoding="utf-8")
    expected = {
        path.relative_to(place).as_posix(): path.read_text(encoding="utf-8")
        for path in place.rglob("*")
        if path.is_file()
    }
    assert rendered == expected
