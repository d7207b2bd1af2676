"""A copy of rendered files below a scratch folder, so that the real programs can look at them anywhere.

Paths, ports and certificates that this machine does not have are replaced; all else is as rendered. If this
replaces too much, a program accepts what the host's own refuses.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ..files import File
from .programs import program, run

PEM_DAYS = "2"


def place(folder: Path, path: str) -> Path:
    """Return where the copy of a host's file lies, with its folder made."""
    where = folder / path.lstrip("/")
    where.parent.mkdir(parents=True, exist_ok=True)
    return where


def copy(folder: Path, files: Iterable[File], edit: Callable[[str], str]) -> list[Path]:
    """Write files below a folder, which stands for the host's root, with their texts changed; returns where."""
    written = []
    for file in files:
        where = place(folder, file.path)
        where.touch(mode=0o600)
        where.write_text(edit(file.text), encoding="utf-8")
        where.chmod(0o600 if file.is_secret else 0o644)
        written.append(where)
    return written


def replacing(replaced: Mapping[str, str]) -> Callable[[str], str]:
    """Return what replaces pieces of a text, and nothing within what it has put in."""
    pattern = re.compile("|".join(map(re.escape, sorted(replaced, key=len, reverse=True))))
    return lambda text: pattern.sub(lambda found: replaced[found[0]], text)


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate and its key that stand for files which are not on this machine.

    Raises:
        Skip: openssl is not installed.
    """
    made, key = folder / "stand-in.crt", folder / "stand-in.key"
    if made.exists():
        return made, key
    done = run([
        program("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", PEM_DAYS, "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(made),
    ])  # fmt: skip
    done.check_returncode()
    return made, key
