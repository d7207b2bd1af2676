"""Builds a release: the app, the kit, a virtual environment, the configuration; complete before it has its name.

What packages run while they are installed is strangers' code: a user of its own runs it, who may write to the new
environment and nowhere else. So that paths in it are right, that user sees the unfinished folder under its later
name. Nothing of the environment ever runs as root. If this is wrong, a release is half there and is started.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from ..description import Description
from ..files import File
from . import durable, source, tree
from .command import run, said, systemctl
from .errors import HostError
from .lock import who
from .places import Places
from .slots import RECORD, current
from .source import Source

PYTHON = "/usr/bin/python3"
SERVED_BY = ("gunicorn>=27", "flask", "psycopg2-binary", "prometheus-client")
FOLDER_MODE = 0o755
LONGEST = 1800.0  # seconds for one pip
FIRST_VENV = 150 << 20  # bytes, when there is none yet to measure
SPARE = 100 << 20  # bytes that a disk keeps free
FULL = 16 << 20  # bytes; with less, that is why something failed
WHEELS = ".wheels"  # in an unfinished release
PACKAGE_FILES = ("*.whl", "*.tar.gz", "*.zip")
PIP_ERROR = re.compile(r"ERROR: (?!pip's dependency resolver)")


def new_id(found: Source) -> str:
    """Return a release's id: the time, and what stands for its contents."""
    return found.release or f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{found.stamp}"


def user(places: Places) -> str:
    """Return the user who installs packages."""
    return f"{places.name}-build"


def check(places: Places, found: Source, description: Description, wheels: Path | None) -> None:
    """Look at everything that can be known before.

    Raises:
        HostError: something is missing, or the disk is too full.
    """
    wanted = description.app.requirements
    if source.text_of(found, wanted) is None:
        raise HostError(f"{found.folder} has no {wanted}; write one (it may be empty), or set app.requirements")
    if wheels is not None and not _package_files(wheels):
        raise HostError(f"{wheels} has no packages for pip ({', '.join(PACKAGE_FILES)})")
    needed = source.size(found) + _expected_venv(places) + SPARE
    free = shutil.disk_usage(places.releases).free
    if free < needed:
        raise HostError(
            f"a release needs {needed >> 20} MB on the disk of {places.releases}, {free >> 20} MB are free; "
            "free some, or lower app.keep"
        )


def build(
    places: Places, release: str, found: Source, description: Description, description_text: str,
    files: Sequence[File], wheels: Path | None, say: Callable[[str], None],
) -> None:  # fmt: skip
    """Make a release's folder; it has its name when it is complete.

    Args:
        places: the app.
        release: its id.
        found: the app's files.
        description, description_text: its harden.toml.
        files: its configuration.
        wheels: a folder with all packages, for a host without a way out; None asks the index.
        say: takes a line for each step.

    Raises:
        HostError: it cannot be built; has pip's last lines.
    """
    partial = places.partial(release)
    umask = os.umask(0o022)  # others must be able to read it, however strict root is
    try:
        partial.mkdir(mode=FOLDER_MODE)
        places.release(release).mkdir(mode=FOLDER_MODE)  # empty: where the builder sees the other one
        _sources(partial, found, description_text, files)
        say(f"installing {description.app.requirements} as {user(places)}")
        _environment(places, release, description.app.requirements, wheels)
        run(PYTHON, "-I", "-m", "compileall", "-q", *map(str, (partial / "app", partial / "kit")), check=False)
        _record(partial, release, found)
        run("sync", "--file-system", str(partial), timeout=LONGEST)
        partial.rename(places.release(release))  # over the empty one
        durable.sync_folder(places.releases)
    except OSError as error:
        raise HostError(f"{partial} cannot be built: {error.strerror or error}") from None
    finally:
        os.umask(umask)


def clean(places: Places) -> None:
    """Remove what an interrupted run has left; nothing that is a release."""
    systemctl("stop", _unit(places), check=False)
    for folder in sorted(places.releases.iterdir()) if places.releases.is_dir() else ():
        is_hidden = folder.name.startswith(".")
        if is_hidden or (folder.is_dir() and not folder.is_symlink() and not (folder / RECORD).exists()):
            shutil.rmtree(folder, ignore_errors=True)


def remove(places: Places, release: str) -> None:
    """Remove a release, which stops being one at once."""
    gone = places.releases / f".{release}.gone"
    if places.release(release).is_dir():
        places.release(release).rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _unit(places: Places) -> str:
    return f"{user(places)}.service"


def _expected_venv(places: Places) -> int:
    folder = places.release(current(places)) / "venv"
    if not current(places) or not folder.is_dir():
        return FIRST_VENV
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _package_files(folder: Path) -> list[Path]:
    return sorted(path for pattern in PACKAGE_FILES for path in folder.glob(pattern))


def _sources(partial: Path, found: Source, description_text: str, files: Sequence[File]) -> None:
    partial.chmod(FOLDER_MODE)
    source.copy(found, partial / "app")
    source.copy_kit(partial / "kit")
    (partial / "app").chmod(FOLDER_MODE)
    durable.replace(partial / "harden.toml", description_text)
    tree.save(partial / "etc", files)
    variables = next((file.text for file in files if file.path.endswith("/app.env")), "")
    durable.replace(partial / "app.env", variables)


def _environment(places: Places, release: str, requirements: str, wheels: Path | None) -> None:
    partial, folder = places.partial(release), places.release(release)
    account = pwd.getpwnam(user(places))
    venv = partial / "venv"
    venv.mkdir(mode=FOLDER_MODE)
    os.chown(venv, account.pw_uid, account.pw_gid)
    if wheels is not None:
        _copy_wheels(wheels, partial / WHEELS)
    _as_builder(places, release, False, PYTHON, "-m", "venv", f"{folder}/venv")
    pip = (f"{folder}/venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input", "install",
           "--quiet", "--progress-bar=off")  # fmt: skip
    local = ("--no-index", f"--find-links={folder}/{WHEELS}") if wheels is not None else ()
    needs_index = wheels is None
    _as_builder(places, release, needs_index, *pip, *local, "-r", f"{folder}/app/{requirements}")
    # Apart from the others, so that a file of hashes, or one that pins something of these, stays as it is.
    _as_builder(places, release, needs_index, *pip, *local, *_served_by(venv))
    shutil.rmtree(partial / WHEELS, ignore_errors=True)
    run("chown", "--recursive", "--no-dereference", "root:root", str(venv))
    run("chmod", "--recursive", "u=rwX,go=rX", str(venv))


def _copy_wheels(wheels: Path, target: Path) -> None:
    target.mkdir(mode=FOLDER_MODE)
    for path in _package_files(wheels):
        shutil.copyfile(path, target / path.name)
        (target / path.name).chmod(0o644)


def _served_by(venv: Path) -> tuple[str, ...]:
    """Return what a release needs beside the app's own; psycopg2 may be there as source."""
    has_psycopg2 = any(venv.glob("lib/python3*/site-packages/psycopg2-*.dist-info"))
    return tuple(each for each in SERVED_BY if not (has_psycopg2 and each.startswith("psycopg2")))


def _as_builder(places: Places, release: str, needs_network: bool, *argv: str) -> None:
    name = user(places)
    properties = (
        f"User={name}", f"Group={name}", f"BindPaths={places.partial(release)}:{places.release(release)}",
        f"CacheDirectory={name}", "CacheDirectoryMode=0700", "NoNewPrivileges=yes", "CapabilityBoundingSet=",
        "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "ProtectProc=invisible",
        "RestrictSUIDSGID=yes", "RestrictNamespaces=yes", "UMask=0022", "KillMode=control-group",
        *(() if needs_network else ("PrivateNetwork=yes",)),
    )  # fmt: skip
    done = run(
        "systemd-run", "--quiet", "--wait", "--collect", "--pipe", f"--unit={_unit(places)}",
        f"--description={places.name}: build of {release}", *(f"--property={word}" for word in properties),
        f"--setenv=PIP_CACHE_DIR=/var/cache/{name}", "--setenv=HOME=/tmp", "--",
        "/usr/bin/env", *argv,  # systemd-run itself does not see what is bound
        timeout=LONGEST, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = said(done)
        raise HostError(f"{_what(argv)} failed: {_why(lines)}{_full(places)}", lines[-15:])


def _full(places: Places) -> str:
    """Return what venv and pip keep to themselves: that the disk is full."""
    free = shutil.disk_usage(places.releases).free
    return f"; the disk of {places.releases} has {free >> 20} MB left" if free < FULL else ""


def _what(argv: Sequence[str]) -> str:
    return "pip" if "pip" in argv else "python3 -m venv"


def _why(lines: Sequence[str]) -> str:
    errors = [PIP_ERROR.sub("", line) for line in lines if PIP_ERROR.match(line)]
    return (errors or [*lines[-1:]] or ["it said nothing"])[-1][:300]


def _record(partial: Path, release: str, found: Source) -> None:
    told = {
        "id": release, "commit": found.known_commit, "made": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "by": who(), "kit": _kit_version(),
    }  # fmt: skip
    durable.replace(partial / RECORD, json.dumps(told) + "\n")


def _kit_version() -> str:
    text = (source.KIT_ROOT / "setup.cfg").read_text(encoding="utf-8")
    found = re.search(r"^version = (\S+)$", text, re.MULTILINE)
    return found[1] if found else ""
