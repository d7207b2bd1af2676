"""Modes and owners on a host: what is secret is for its reader alone, and nobody can change the code that runs.

Knows paths and accounts, and no file's contents. What is not there yet is not looked at.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import unit_files
from .outcome import Finding, Said, Skip, said
from .subject import Subject

MOST = 5  # findings of one kind; the count of the others is told


@dataclass(frozen=True)
class Wanted:
    """How a file has to be.

    Attributes:
        path: on the host.
        mode: the bits that it may have at most.
        owner: whose it is; "" for root's, whatever the group.
    """

    path: str
    mode: int
    owner: str = ""


def modes(subject: Subject) -> Said:
    """Find files of the service whose mode or owner lets somebody read or change what they must not."""
    there = [(wanted, seen) for wanted in _wanted(subject) if (seen := _seen(subject, wanted.path))]
    if not there:
        raise Skip("nothing of the service is on this machine yet")
    found = [Finding(*pair) for wanted, seen in there for pair in _wrong(wanted, seen)]
    return said(found, f"{len(there)} files")


def tls_keys(subject: Subject) -> Said:
    """Find a key that everybody can read, or that the front cannot."""
    front = subject.description.front
    reader = "haproxy" if "balancer" in subject.kinds else "www-data"
    is_nginx = "app" in subject.kinds and front.kind == "nginx" and not front.balancer
    if not front.certificate or not (is_nginx or "balancer" in subject.kinds):
        raise Skip("the front of this kind of host has no certificate")
    paths = [path for path in dict.fromkeys((front.certificate, front.certificate_key)) if path]
    if not any(subject.on_host(path).exists() for path in paths):
        raise Skip(f"{paths[-1]} is not on this machine")
    found = [finding for path in paths for finding in _readable(subject, path, reader)]
    return said([*found, *_exposed(subject, paths[-1], reader)], ", ".join(paths))


def releases(subject: Subject) -> Said:
    """Find what the app's account could change of the code that it runs."""
    home = subject.places.home
    if not home.is_dir():
        raise Skip(f"{home} is not on this machine")
    ids = _ids(subject.name)
    count, wrong = 0, []
    for place in _walk(home):
        count += 1
        try:
            seen = place.lstat()
        except OSError:
            continue
        if (why := _changeable(seen, ids)) and not stat.S_ISLNK(seen.st_mode):
            wrong.append(f"{place}: {why}")
    found = [Finding(text, f"chown -R root:root and chmod -R go-w {home}") for text in wrong[:MOST]]
    if len(wrong) > MOST:
        found.append(Finding(f"{len(wrong) - MOST} more below {home}", f"chmod -R go-w {home}"))
    return said(found, f"{count} files and folders below {home}")


def _wanted(subject: Subject) -> Iterator[Wanted]:
    name = subject.name
    yield Wanted(unit_files.secrets_path(subject.description), 0o600, "root:root")
    yield Wanted(f"/etc/{name}/harden.toml", 0o644)
    yield Wanted(f"/etc/{name}/pgbouncer", 0o750, f"root:{name}-pgbouncer")
    yield Wanted(f"/etc/{name}/pgbouncer/userlist.txt", 0o640, f"root:{name}-pgbouncer")
    yield Wanted(f"/var/lib/harden/{name}", 0o700, "root:root")
    yield Wanted(f"/etc/{name}/pgbouncer/server.key", 0o640, f"root:{name}-pgbouncer")
    yield Wanted(f"/etc/prometheus/{name}.token", 0o640)
    for release in sorted(subject.places.releases.glob("*")):
        yield Wanted(f"/opt/{name}/releases/{release.name}/etc", 0o700, "root:root")
    for file in subject.all_files().values():
        yield Wanted(file.path, file.mode, f"{file.owner}:{file.group}")


def _wrong(wanted: Wanted, seen: os.stat_result) -> Iterator[tuple[str, str]]:
    """Yield what is wrong and what mends it."""
    mode = stat.S_IMODE(seen.st_mode)
    if mode & ~wanted.mode:
        yield f"{wanted.path} has mode {mode:04o}, and {wanted.mode:04o} is the most", (
            f"chmod {wanted.mode:04o} {wanted.path}"
        )
    owner = f"{_user(seen.st_uid)}:{_group(seen.st_gid)}"
    if wanted.owner and owner != wanted.owner:
        yield f"{wanted.path} is {owner}'s, and has to be {wanted.owner}'s", f"chown {wanted.owner} {wanted.path}"
    elif not wanted.owner and seen.st_uid != 0:
        yield f"{wanted.path} is {owner}'s, who could change it", f"chown root {wanted.path}"


def _readable(subject: Subject, path: str, reader: str) -> Iterator[Finding]:
    place = subject.on_host(path)
    mend = f"chown root:{reader} {path}; chmod 0640 {path}"
    try:
        ids = pwd.getpwnam(reader)
    except KeyError:
        raise Skip(f"there is no account {reader}, which would read {path}") from None
    groups = set(os.getgrouplist(reader, ids.pw_gid))
    if not place.exists():
        yield Finding(f"{path} does not exist", "put it there, or change front.certificate")
        return
    for folder in reversed(place.resolve().parents):
        if folder.is_relative_to(subject.root) and not _may(folder.stat(), ids.pw_uid, groups, 1):
            yield Finding(f"{reader} cannot pass {folder} on the way to {path}", f"chmod o+x {folder}, or {mend}")
            return
    if not _may(place.stat(), ids.pw_uid, groups, 4):
        yield Finding(f"{reader} cannot read {path}, as which the front runs", mend)


def _exposed(subject: Subject, path: str, reader: str) -> Iterator[Finding]:
    place = subject.on_host(path)
    mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else 0
    if mode & 0o007:
        text = f"{path} has mode {mode:04o}: everybody on this machine may have the key"
        yield Finding(text, f"chown root:{reader} {path}; chmod 0640 {path}")


def _may(seen: os.stat_result, uid: int, groups: Iterable[int], bit: int) -> bool:
    shift = 6 if seen.st_uid == uid else 3 if seen.st_gid in groups else 0
    return bool(seen.st_mode >> shift & bit)


def _changeable(seen: os.stat_result, ids: tuple[int, int] | None) -> str:
    mode = stat.S_IMODE(seen.st_mode)
    if ids and seen.st_uid == ids[0]:
        return "belongs to the app's account"
    if mode & 0o002 and not mode & stat.S_ISVTX:
        return f"mode {mode:04o} lets everybody change it"
    if mode & 0o020 and ids and seen.st_gid == ids[1]:
        return f"mode {mode:04o} lets the app's group change it"
    return ""


def _walk(home: Path) -> Iterator[Path]:
    yield home
    for folder, folders, files in os.walk(home):
        yield from (Path(folder, name) for name in (*folders, *files))


def _seen(subject: Subject, path: str) -> os.stat_result | None:
    try:
        return subject.on_host(path).stat()
    except OSError:
        return None


def _ids(name: str) -> tuple[int, int] | None:
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return found.pw_uid, found.pw_gid


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
