"""Bytes into a file, whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ..atomic import WriteError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file through a temporary one beside it; an existing file keeps its mode.

    Raises:
        WriteError: It cannot be written; what stood there before still does.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        mode = path.stat().st_mode if path.exists() else None
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode & 0o7777)
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise WriteError(error.errno, error.strerror, str(path)) from error
