"""A host on which the kit's own verbs have put an app: the shop, with a mark that says which release answers.

Everything goes by `harden VERB` in the host, as a person would have it. What is looked at beside that (links,
units, folders) is looked at by hand: a verb must not be judged by what it says of itself.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.host.source import KIT

from . import empty, leaks
from .errors import LabError
from .host import Host

ROOT = Path(__file__).resolve().parents[2]
NAME = "shop"
KIT_PLACE = "/opt/harden-kit"
REPOSITORY = "/srv/repository"
DESCRIPTION = "/srv/harden.toml"
WHEELS = "/srv/wheels"
SECRETS = f"/etc/{NAME}/secrets.env"
STATE = f"/var/lib/harden/{NAME}"
REQUIREMENTS = ("flask>=3.1", "psycopg2-binary>=2.9", "gunicorn>=27", "prometheus-client>=0.20")
TOOLS = ("jinja2>=3.1", "rich>=13", "httptools>=0.6", "uvloop>=0.21")  # what the kit's own command line has more
SLOTS = ("a", "b")
GOES_WELL = "well"
SLOWEST = 300.0  # seconds for a verb on a busy machine
TOML = """[app]
name = "shop"
target = "app:app"
migrate = "python migrate.py"
health = "{health}"
keep = 3

[hosts]
{hosts}
[database]
name = "shop"
role = "shop"
{database}
[front]
rate = 0
{front}
[environment]
MOTTO = "{motto}"
"""
PLAIN = {"health": "/version", "motto": "first", "hosts": "", "database": "", "front": ""}


@dataclass
class Service:
    """An app on a host.

    Attributes:
        host: where.
        said: what the verbs have printed so far.
    """

    host: Host
    said: list[str] = field(default_factory=list)
    _version: int = 0

    def harden(self, *words: str, timeout: float = SLOWEST) -> subprocess.CompletedProcess[str]:
        """Run a verb; look at its exit code."""
        done = self.host.run(*verb(*words), check=False, timeout=timeout)
        self.said.append(done.stdout + done.stderr)
        return done

    def must(self, *words: str, timeout: float = SLOWEST) -> subprocess.CompletedProcess[str]:
        """Run a verb that has to succeed.

        Raises:
            LabError: it did not; with all that it said.
        """
        done = self.harden(*words, timeout=timeout)
        if done.returncode:
            raise LabError(f"harden {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def describe(self, **lines: str) -> None:
        """Write the app's harden.toml.

        Args:
            lines: what differs: health and motto as values; hosts, database and front as lines of their sections.
        """
        text = TOML.format(**{**PLAIN, **lines})
        for path in (DESCRIPTION, f"{REPOSITORY}/harden.toml"):
            self.host.write(path, text)

    def commit(self, mode: str = GOES_WELL) -> str:
        """Put the app's next version into its folder, and return its mark.

        Args:
            mode: how it goes: well, unwell (answers 503), import, migration.
        """
        self._version += 1
        mark = f"version-{self._version}"
        self.host.shell(f"echo {mark} >{REPOSITORY}/VERSION; echo {mode} >{REPOSITORY}/MODE")
        return mark

    def release(self, mode: str = GOES_WELL) -> str:
        """Release the next version, and return its mark; raises as `must`."""
        mark = self.commit(mode)
        self.must(*RELEASE)
        return mark

    def ask(self, path: str = "/version", timeout: float = 10.0) -> str:
        """Return what the front answers; "" for anything but 200."""
        lab = self.host.lab
        url = f"http://{self.host.address}{path}"
        done = lab.run("curl", "-sS", "--fail", "--max-time", str(timeout), url, timeout=timeout + 10)
        return done.stdout.strip() if done.returncode == 0 else ""

    def links(self) -> dict[str, str]:
        """Return which release each link leads to; those that are not there are left out."""
        listed = self.host.shell(f"find /opt/{NAME} -maxdepth 1 -type l -printf '%f %l\\n'")
        rows = (line.split() for line in listed.splitlines())
        return {row[0]: row[1].rpartition("/")[2] for row in rows}

    def active(self) -> list[str]:
        """Return the instances that run."""
        return [slot for slot in SLOTS if self.is_active(f"{NAME}@{slot}.service")]

    def is_active(self, unit: str) -> bool:
        """Tell whether a unit runs."""
        return self.host.run("systemctl", "is-active", "--quiet", unit, check=False).returncode == 0

    def exposure(self, unit: str) -> float:
        """Return what systemd-analyze counts for a unit that runs; 10 is a plain one of root's.

        Raises:
            LabError: it does not run.
        """
        said = self.host.run("systemd-analyze", "security", "--no-pager", unit).stdout
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        if found is None or not self.is_active(unit):
            raise LabError(f"{unit} does not run: {said[-200:]}")
        return float(found[1])

    def releases(self) -> list[str]:
        """Return what lies in the folder of releases, hidden ones too."""
        return self.host.shell(f"ls -A /opt/{NAME}/releases").split()

    def other(self) -> str:
        """Return the newest release that does not serve; "" for none."""
        current = self.links().get("current", "")
        return max((each for each in self.complete() if each != current), default="")

    def complete(self) -> list[str]:
        """Return the releases that are whole, the oldest first."""
        listed = self.host.shell(f"cd /opt/{NAME}/releases && ls -d */release.json")
        return sorted(line.partition("/")[0] for line in listed.split() if line[0] != ".")

    def mark_of(self, release: str) -> str:
        """Return the mark of a release on disk."""
        return self.host.read(f"/opt/{NAME}/releases/{release}/app/VERSION").strip()

    def disorder(self) -> list[str]:
        """Return everything that is not as it must be when no verb runs: a line each, none for a tidy host."""
        links, active, found = self.links(), self.active(), []
        current = links.get("current", "")
        if len(active) != 1:
            found.append(f"instances that run: {active}")
        elif links.get(active[0]) != current:
            found.append(f"{active[0]} leads to {links.get(active[0])}, current to {current}")
        releases = self.releases()
        found += [f"left behind: {name}" for name in releases if name.startswith(".")]
        found += [f"{name} leads nowhere" for name, release in links.items() if release not in releases]
        found += [f"{slot} is being tried" for slot in SLOTS if self.is_active(f"{NAME}-candidate@{slot}.service")]
        if self.host.run("test", "-e", f"{STATE}/operation.json", check=False).returncode == 0:
            found.append("operation.json is there")
        if current and self.ask() != self.mark_of(current):
            found.append(f"it answers {self.ask() or 'nothing'}, current is {self.mark_of(current)}")
        return found

    def why(self) -> str:
        """Return what a person would look at first: units and the end of the journal."""
        script = f"systemctl --no-pager list-units '{NAME}*'; journalctl -q --no-pager -n 40 -u '{NAME}*'"
        return self.host.shell(script) + "".join(self.said[-2:])

    def secrets(self) -> dict[str, str]:
        """Return the app's secrets, with their parts."""
        return leaks.secrets_of(self.host, SECRETS)


RELEASE = ("release", REPOSITORY, "--wheels", WHEELS)
INSTALL = ("install", DESCRIPTION)


def verb(*words: str) -> tuple[str, ...]:
    """Return the command of a host that runs a verb."""
    return ("/usr/bin/python3", "-E", "-s", f"{KIT_PLACE}/scripts/launch.py", *words)


def prepare(host: Host, wheels: Path) -> Service:
    """Give an empty host its sources, the kit, the app's repository and its harden.toml; nothing is installed.

    Raises:
        LabError: the host has no room.
    """
    empty.give_sources(host, wheels)
    give_kit(host)
    host.copy(Path(__file__).with_name("shop_repository"), REPOSITORY)
    for name in ("schema.sql", "functions.sql"):
        host.copy(ROOT / "backend/shop" / name, f"{REPOSITORY}/{name}")
    service = Service(host)
    service.describe()
    service.commit()
    return service


def give_kit(host: Host) -> None:
    """Copy the kit as it is in this working tree."""
    for name in KIT:
        host.copy(ROOT / name, f"{KIT_PLACE}/{name}")


@contextmanager
def full_disk(host: Host, folder: str, spare_mb: int = 2) -> Iterator[None]:
    """Leave a folder that much room for as long as the block lasts: a small disk is mounted over it.

    Args:
        host: whose.
        folder: what lies there is on the small disk meanwhile.
        spare_mb: megabytes.
    """
    script = f"""
    used=$(du -sm {folder} | cut -f1)
    mount -t tmpfs -o size=$((used + {spare_mb}))m,mode=755 tmpfs /mnt
    cp -a {folder}/. /mnt/
    mount --move /mnt {folder}
    """
    host.shell(script)
    try:
        yield
    finally:
        host.shell(f"umount --lazy {folder}")
