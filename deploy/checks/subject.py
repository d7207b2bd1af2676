"""What is checked: a description, its files, the secrets that are known, and the host that this runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..description import Description
from ..files import File
from ..host.places import Places
from ..plan_sizes import Plan


@dataclass(frozen=True)
class Subject:
    """A service, and a host of it.

    Attributes:
        source: the harden.toml.
        plan: its sizes, whether or not they fit.
        files: what is rendered, by kind of host.
        left_out: paths of files that need a secret which is not known, with what is missing.
        broken: by kind, why its files cannot be made.
        secrets: variables of the file of secrets; none when it cannot be read.
        no_secrets: why there are none.
        scratch: an empty folder for copies; all may pass it, and what is secret in it is 0600.
        root: the host's root folder.
        dsn: a superuser's way to PostgreSQL; "" for none.
        accepted: names of checks and keys of findings that a person has accepted.
    """

    source: Path
    description: Description
    plan: Plan
    files: Mapping[str, tuple[File, ...]]
    scratch: Path
    left_out: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    no_secrets: str = ""
    root: Path = Path("/")
    dsn: str = field(default="", repr=False)
    accepted: frozenset[str] = frozenset()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return what the host is for."""
        return (*self.files, *self.broken)

    @property
    def name(self) -> str:
        """Return the app's name."""
        return self.description.app.name

    @property
    def places(self) -> Places:
        """Return where everything of the app lies on the host."""
        return Places(self.name, self.root)

    def all_files(self) -> dict[str, File]:
        """Return the files of all kinds by path."""
        return {file.path: file for files in self.files.values() for file in files}

    def on_host(self, path: str) -> Path:
        """Return where a path of the host is."""
        return self.root / path.lstrip("/")
