"""What a vendored copy says of itself: version, slices, and the hash of each file as it was delivered.

Lies in the copy, beside its pristine files packed, from which a later version is merged with what people have
changed since. Both are the same bytes for the same runtime: no time stamps.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from ..errors import CommandError

NAME = "VENDORED.json"
PRISTINE = "VENDORED.tar.xz"
KIT = "harden-flask-psycopg2"
FORMAT = 1
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Manifest:
    """A copy's manifest.

    Attributes:
        version: Of the kit.
        slices: ("all",), or the slices that it is.
        files: Hash (SHA-256, hexadecimal) by path.
    """

    version: str
    slices: tuple[str, ...]
    files: Mapping[str, str]

    def text(self) -> str:
        """Return it as it is written."""
        told = {
            "kit": KIT, "format": FORMAT, "version": self.version, "slices": list(self.slices),
            "files": dict(sorted(self.files.items())),
        }  # fmt: skip
        return json.dumps(told, indent=2) + "\n"


def of(files: Mapping[str, bytes], slices: tuple[str, ...]) -> Manifest:
    """Return the manifest of a copy that is about to be written."""
    return Manifest(version(), slices, {name: digest(data) for name, data in files.items()})


def version() -> str:
    """Return the kit's version."""
    parser = ConfigParser()
    parser.read(_ROOT / "setup.cfg")
    return parser["metadata"]["version"]


def digest(data: bytes) -> str:
    """Return a file's hash, the same with either line end: git may change those on checkout."""
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()


def read(folder: Path) -> Manifest:
    """Return a copy's manifest.

    Raises:
        CommandError: The folder is no vendored copy, or of a kit that is newer than this.
    """
    try:
        told = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if told["kit"] != KIT:
            raise KeyError(KIT)
        if told["format"] > FORMAT:
            raise CommandError(f"{folder} was vendored by a newer kit ({told['version']}); use that one")
        return Manifest(told["version"], tuple(told["slices"]), dict(told["files"]))
    except FileNotFoundError:
        raise CommandError(f"{folder} is no vendored copy: it has no {NAME}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(
            f"{folder / NAME} cannot be read ({type(error).__name__}); restore it from git"
        ) from None


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return files in one compressed archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return lzma.compress(buffer.getvalue(), preset=6)


def unpacked(folder: Path) -> dict[str, bytes]:
    """Return a copy's pristine files.

    Raises:
        CommandError: The archive is gone or broken.
    """
    try:
        data = lzma.decompress((folder / PRISTINE).read_bytes())
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return {member.name: _content(archive, member) for member in archive if member.isfile()}
    except (OSError, lzma.LZMAError, tarfile.TarError, EOFError):
        raise CommandError(f"{folder / PRISTINE} is missing or broken; restore it from git") from None


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()
