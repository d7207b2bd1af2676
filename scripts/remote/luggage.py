"""What goes along with a verb: the kit, and whatever its arguments name on this machine.

Knows the verbs' arguments by their names. A file that is missing here would be looked for on the host, where it
does not exist.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from deploy.description import DescriptionError
from deploy.errors import InputError
from deploy.host import env_file, source
from deploy.host.building import new_id
from deploy.host.errors import HostError
from deploy.load_description import load
from deploy.unit_files import secrets_path

from ..errors import CommandError
from .bundle import Bundle
from .session import Made, Word

# Arguments that name a file or folder, and where it is in the tar.
FILES = {"file": "harden.toml", "config": "harden.toml", "name": "harden.toml", "wheels": "wheels"}
ONLY_HERE = {"against": "a folder of this machine"}


@dataclass(frozen=True)
class Luggage:
    """What goes along; `with packed(...) as luggage:`.

    Attributes:
        bundle: the tar.
        made: by the name of an argument, what it is on the host.
        secrets: what `--secrets` names says; b"" without.
        secrets_path: where the service's secrets lie on a host; "" when no description is at hand.
    """

    bundle: Bundle
    made: dict[str, Word | None] = field(default_factory=dict)
    secrets: bytes = field(default=b"", repr=False)
    secrets_path: str = ""

    @property
    def tar(self) -> IO[bytes]:
        """Return the bundle, to be read from its start as often as there are hosts."""
        return self.bundle.file


@contextmanager
def packed(verb: str, options: argparse.Namespace) -> Iterator[Luggage]:
    """Pack what a verb needs.

    Raises:
        CommandError: something that the arguments name cannot be read, or cannot go to a host.
    """
    given = vars(options)
    for name, what in ONLY_HERE.items():
        if given.get(name):
            raise CommandError(f"--{name} is {what} and cannot go with --ssh; leave one of both out")
    with Bundle() as bundle:
        yield _packed(Luggage(bundle), verb, given)


def _packed(luggage: Luggage, verb: str, given: dict[str, Any]) -> Luggage:
    made = luggage.made
    if verb == "release":
        _add_source(luggage, given)
    if verb == "uninstall" and Path(given["name"]).is_file():
        given = {**given, "name": Path(given["name"])}
    for argument, inside in FILES.items():
        if isinstance(given.get(argument), Path):
            luggage.bundle.add(_there(given[argument]), inside)
            made[argument] = Made("FOLDER", f"/{inside}")
    if given.get("secrets"):
        made["secrets"] = Made("SECRETS")
        luggage = replace(luggage, secrets=_secrets(given["secrets"]))
    if "file" in made:
        luggage = replace(luggage, secrets_path=_secrets_path(given["file"]))
    luggage.bundle.finish()
    return luggage


def _secrets_path(file: Path) -> str:
    try:
        return secrets_path(load(file))
    except DescriptionError as error:
        raise CommandError("; ".join(error.problems)) from None


def _add_source(luggage: Luggage, given: dict[str, Any]) -> None:
    """Add what is released, a commit's files or a folder's, without history and with one id for all hosts."""
    try:
        found = source.find(given["path"], given["rev"])
    except HostError as error:
        raise CommandError(str(error)) from None
    for warning in found.warnings:
        print(f"harden: warning: {warning}", file=sys.stderr)
    luggage.bundle.add_source(found, "app", new_id(found))
    luggage.made.update({"path": Made("FOLDER", "/app"), "rev": None})


def _there(path: Path) -> Path:
    if not path.exists():
        raise CommandError(f"{path} does not exist here; files that go along are read on this machine")
    return path


def _secrets(path: Path) -> bytes:
    """Return a file of secrets, which must be its owner's alone."""
    try:
        env_file.read(path)
        return path.read_bytes()
    except InputError as error:
        raise CommandError(str(error)) from None
