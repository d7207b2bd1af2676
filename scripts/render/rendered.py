"""All files that a harden.toml stands for, by kind of host, with the secrets that they need or without.

Used by `render`, `diff` and `check`. Writes nothing. If this is wrong, what is shown is not what a host gets.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy import host_files, ladder, scram
from deploy.description import Description, DescriptionError
from deploy.errors import InputError
from deploy.files import File
from deploy.host import env_file, putting
from deploy.host import secrets as host_secrets
from deploy.host.errors import HostError
from deploy.host.places import Places
from deploy.load_description import load
from deploy.plan_problems import problems
from deploy.plan_sizes import Plan, sizes
from deploy.unit_network import default_kinds

from ..errors import CommandError

FILE = "harden.toml"
VERIFIER = host_secrets.VERIFIER
LOOKUP_PASSWORD = host_secrets.LOOKUP_PASSWORD  # of the role NAME-pgbouncer, with pgbouncer.auth = "query"
# What stands for a secret that is not known, so that all other files can be rendered. Never written anywhere.
UNKNOWN = scram.make_verifier("unknown", salt=b"unknown", iterations=1)


@dataclass(frozen=True)
class Rendered:
    """What came out.

    Attributes:
        source: the harden.toml.
        plan: its sizes, whether or not they fit.
        kinds: of the hosts that are looked at.
        files: by kind.
        left_out: paths of files that need a secret which is not known, with what is missing.
        broken: by kind, why its files cannot be made.
        secrets: the variables of the file of secrets; none when there is none that can be read.
        no_secrets: why there are none; "" when there are.
    """

    source: Path
    description: Description
    plan: Plan
    kinds: tuple[str, ...]
    files: Mapping[str, tuple[File, ...]]
    left_out: Mapping[str, str]
    broken: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    no_secrets: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the three verbs have in common."""
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path, default=Path(FILE),
                        help="a description (default: ./harden.toml)")  # fmt: skip
    parser.add_argument("--as", dest="kinds", metavar="KIND", action="append", choices=host_files.KINDS,
                        help="what the host is for: app, database, balancer or monitoring; may be repeated "
                        "(default: as installed; else app, and database if on the same machine)")  # fmt: skip
    parser.add_argument("--secrets", metavar="FILE", type=Path,
                        help="NAME=value lines (default: the host's own, where it can be read)")  # fmt: skip


def rendered(options: argparse.Namespace) -> Rendered:
    """Return the files of what the command line names.

    Raises:
        CommandError: the description or the secrets cannot be read.
    """
    description = described(options.file)
    secrets, no_secrets = _secrets(description, options.secrets)
    kinds = _kinds(description, options.kinds or (), Places(description.app.name))
    plan = sizes(description)
    files: dict[str, tuple[File, ...]] = {}
    left_out: dict[str, str] = {}
    broken: dict[str, str] = {}
    for kind in kinds:
        try:
            files[kind], missing = _files(description, plan, kind, secrets)
        except InputError as error:
            broken[kind] = str(error)
            continue
        left_out |= {path: f"{name} is not known" for path, name in missing.items()}
    return Rendered(options.file, description, plan, kinds, files, left_out, broken, secrets, no_secrets)


def usable(found: Rendered) -> Rendered:
    """Return what was rendered when all of it could be.

    Raises:
        CommandError: sizes do not fit, or a file cannot be made.
    """
    wrong = [*problems(found.description, found.plan), *ladder.problems(found.description), *found.broken.values()]
    if wrong:
        raise CommandError(f"{found.source}: {'; '.join(wrong)}")
    return found


def paths_of_others(found: Rendered) -> set[str]:
    """Return the paths of files that hosts of other kinds have."""
    paths: set[str] = set()
    for kind in set(host_files.KINDS) - set(found.kinds):
        try:
            files, missing = _files(found.description, found.plan, kind, found.secrets)
        except InputError:
            continue
        paths |= {*(file.path for file in files), *missing}
    return paths


def described(file: Path) -> Description:
    """Return a file's description.

    Raises:
        CommandError: it cannot be used; with every problem.
    """
    try:
        return load(file)
    except DescriptionError as error:
        raise CommandError("; ".join(error.problems)) from None


def _kinds(description: Description, asked: Iterable[str], places: Places) -> tuple[str, ...]:
    """Return what the host is for: as it is said, as this one was installed, or as the description says."""
    manifests = {kind: putting.folder_of(places, kind) / "manifest.json" for kind in host_files.KINDS}
    # Not Path.exists: for others than root the folder is closed, which is no error here.
    there = tuple(kind for kind, manifest in manifests.items() if os.path.exists(manifest))  # noqa: PTH110
    return tuple(dict.fromkeys(asked)) or there or default_kinds(description)


def _files(
    description: Description, plan: Plan, kind: str, secrets: Mapping[str, str]
) -> tuple[tuple[File, ...], dict[str, str]]:
    """Return a kind's files, and those that need a secret which is missing, by what that is called."""
    needed = VERIFIER if description.pgbouncer.auth == "file" else LOOKUP_PASSWORD
    known = secrets.get(needed, "")
    if needed == VERIFIER and known:
        _check_verifier(known)
    verifiers = {description.database.role: known or UNKNOWN}
    found = host_files.files(description, plan, kind, verifiers, lookup_password=known or "unknown")
    if known:
        return found, {}
    return (
        tuple(file for file in found if not file.is_secret),
        {file.path: needed for file in found if file.is_secret},
    )


def _check_verifier(text: str) -> None:
    try:
        scram.read_verifier(text)
    except InputError as error:
        raise InputError(f"{VERIFIER}: {error}") from None


def _secrets(description: Description, given: Path | None) -> tuple[dict[str, str], str]:
    """Return the variables of the file of secrets; and why there are none, if so."""
    try:
        return env_file.read(given or host_secrets.path_of(description)), ""
    except HostError as error:
        if given is not None:
            raise CommandError(f"--secrets: {error}") from None
        return {}, f"{error}; give --secrets FILE, or run as root on the host"
