"""Secrets where others can read them: in files of the kit's own that everybody may read, and in the process list.

Looks for values that the file of secrets has. Says where and which, never what.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .outcome import Finding, Said, Skip, said
from .subject import Subject

SHORTEST = 8  # a shorter value stands in too many texts by chance
LARGEST_BYTES = 5_000_000
MEND = "take it out, and make a new secret: this one may have been read"


def files(subject: Subject) -> Said:
    """Find secrets in files that everybody may read."""
    values = _values(subject)
    there = [place for place in _places(subject) if _is_for_all(place)]
    found = [
        Finding(f"{place} holds {name} and everybody may read it", MEND)
        for place in there
        for name in _names_in(place, values)
    ]
    return said(found, f"{len(values)} secrets, {len(there)} files")


def processes(subject: Subject) -> Said:
    """Find secrets in arguments of programs that run."""
    values = _values(subject)
    found, count = [], 0
    for folder in sorted(Path("/proc").glob("[0-9]*")):
        names = _names_in(folder / "cmdline", values)
        count += 1
        found += [
            Finding(f"process {folder.name} ({_name(folder)}) has {name} in its arguments", MEND) for name in names
        ]
    return said(found, f"{len(values)} secrets, {count} processes")


def _values(subject: Subject) -> dict[bytes, str]:
    """Return what is looked for, with the name that it is told by."""
    if subject.no_secrets:
        raise Skip(subject.no_secrets)
    found: dict[bytes, str] = {}
    for name, value in subject.secrets.items():
        for part in (value, *_passwords(value)):
            if len(part) >= SHORTEST:
                found[part.encode()] = name if part == value else f"the password of {name}"
    if not found:
        raise Skip("the file of secrets has none yet")
    return found


def _passwords(value: str) -> tuple[str, ...]:
    try:
        password = urlsplit(value).password if "://" in value else None
    except ValueError:
        return ()
    return (password, unquote(password)) if password else ()


def _places(subject: Subject) -> Iterator[Path]:
    """Yield files of the kit's own: settings, what it remembers, logs; no app and no libraries."""
    places = subject.places
    yield from map(subject.on_host, subject.all_files())
    for folder in (places.etc, places.state, subject.on_host(f"/var/log/{subject.name}")):
        yield from _below(folder)
    for release in sorted(places.releases.glob("*")):
        yield from sorted(release.glob("*"))
        yield from _below(release / "etc")


def _below(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in sorted(names))


def _is_for_all(place: Path) -> bool:
    try:
        seen = place.lstat()
    except OSError:
        return False
    return stat.S_ISREG(seen.st_mode) and bool(seen.st_mode & 0o004) and seen.st_size <= LARGEST_BYTES


def _names_in(place: Path, values: Mapping[bytes, str]) -> list[str]:
    try:
        text = place.read_bytes()
    except OSError:
        return []
    return sorted({name for value, name in values.items() if value in text})


def _name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(errors="replace").strip()
    except OSError:
        return "ended"
