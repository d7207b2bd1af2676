"""Where everything of an app lies on a host.

Names only: nothing is looked at and nothing is made here. `unit_files.py` writes the units of these names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SLOTS = ("a", "b")


@dataclass(frozen=True)
class Places:
    """Paths and units of an app.

    Attributes:
        name: the app's, which is in all of them.
        root: "/" on a host; another folder to try things out.
    """

    name: str
    root: Path = Path("/")

    @property
    def home(self) -> Path:
        """Return the folder of releases and links."""
        return self.root / "opt" / self.name

    @property
    def releases(self) -> Path:
        """Return the folder with a folder for each release."""
        return self.home / "releases"

    @property
    def current(self) -> Path:
        """Return the link to the release that serves; switching it is the commit point of a release."""
        return self.home / "current"

    @property
    def etc(self) -> Path:
        """Return the folder of settings and secrets."""
        return self.root / "etc" / self.name

    @property
    def secrets(self) -> Path:
        """Return the file of secrets, unless harden.toml names another."""
        return self.etc / "secrets.env"

    @property
    def description(self) -> Path:
        """Return the harden.toml that the host was installed with."""
        return self.etc / "harden.toml"

    @property
    def state(self) -> Path:
        """Return the folder of what the kit itself remembers, for root alone."""
        return self.root / "var/lib/harden" / self.name

    @property
    def lock(self) -> Path:
        """Return the file that is locked while something is changed."""
        return self.state / "lock"

    @property
    def operation(self) -> Path:
        """Return the file with what is under way; there after an interruption."""
        return self.state / "operation.json"

    @property
    def audit(self) -> Path:
        """Return the log of who did what, a line of JSON each."""
        return self.state / "audit.jsonl"

    @property
    def applied(self) -> Path:
        """Return the folder with the configuration that an install has applied, as `tree.py` writes it."""
        return self.state / "applied"

    @property
    def candidate_socket(self) -> Path:
        """Return the socket of a release that is being tried."""
        return self.root / "run" / self.name / "candidate" / "web.sock"

    def slot(self, slot: str) -> Path:
        """Return an instance's link to its release."""
        return self.home / slot

    def release(self, release: str) -> Path:
        """Return a release's folder."""
        return self.releases / release

    def partial(self, release: str) -> Path:
        """Return the folder of a release that is not complete yet."""
        return self.releases / f".{release}.partial"

    def health_socket(self, slot: str) -> Path:
        """Return an instance's private socket."""
        return self.root / "run" / self.name / f"health-{slot}.sock"

    def unit(self, slot: str) -> str:
        """Return the unit of an instance."""
        return f"{self.name}@{slot}.service"

    def candidate(self, slot: str) -> str:
        """Return the unit that tries the release of a slot before it gets requests."""
        return f"{self.name}-candidate@{slot}.service"
