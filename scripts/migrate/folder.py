"""A folder of migrations: numbered pairs of files, `0001_slug.up.sql` and `0001_slug.down.sql`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import CommandError
from .statements import Statement, read

_NAME = re.compile(r"(\d{4,})_[\w-]+")


@dataclass(frozen=True)
class Migration:
    """One pair.

    Attributes:
        name: "0001_create_orders_customer_id_idx".
        digest: SHA-256 of the statements there, without comments; what tells a file that was changed.
        probes: Statements that have to use what is made.
    """

    name: str
    up: tuple[Statement, ...]
    down: tuple[Statement, ...]
    digest: str
    probes: tuple[str, ...]


def migrations(folder: Path) -> list[Migration]:
    """Return a folder's migrations in order.

    Raises:
        CommandError: there is no folder or nothing in it, a file misses its other half, two have one number, or a
            statement is none that may run on a live database.
    """
    if not folder.is_dir():
        raise CommandError(
            f"there is no folder {folder}; write one by: scripts/harden migrate write --out {folder}"
        )
    names = names_in(folder)
    if not names:
        raise CommandError(f"no *.up.sql in {folder}; write some by: scripts/harden migrate write --out {folder}")
    numbers = [name.partition("_")[0] for name in names]
    for number, name in zip(numbers, names, strict=True):
        if numbers.count(number) > 1:
            raise CommandError(f"two migrations have the number {number}, {name} is one; give each its own")
    return [_migration(folder, name) for name in names]


def names_in(folder: Path) -> list[str]:
    """Return the migrations' names, in the order of their numbers."""
    found = [path.name.removesuffix(".up.sql") for path in folder.glob("*.up.sql")]
    for name in found:
        if not _NAME.fullmatch(name):
            raise CommandError(f"{name}.up.sql has no number; a name is 0001_words.up.sql")
    return sorted(found, key=lambda name: (int(name.partition("_")[0]), name))


def _migration(folder: Path, name: str) -> Migration:
    up, down = text_of(folder / f"{name}.up.sql"), text_of(folder / f"{name}.down.sql")
    statements = read(up, f"{name}.up.sql")
    digest = hashlib.sha256("\0".join(each.text for each in statements).encode()).hexdigest()
    probes = tuple(found[1] for found in re.finditer(r"^-- probe: (.+)$", up, re.MULTILINE))
    return Migration(name, statements, read(down, f"{name}.down.sql"), digest, probes)


def text_of(path: Path) -> str:
    """Return a file's text.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CommandError(f"there is no {path}; each .up.sql needs its .down.sql") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {path}: {error}") from None
