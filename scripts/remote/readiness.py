"""Whether a host can run the kit: Debian with systemd, its own python3, and a way to be root."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import CommandError
from .connection import Connection, quoted
from .failures import last_line

PYTHON = "/usr/bin/python3"
OLDEST = (3, 11)  # Debian 12's; it reads TOML by itself
PROBE = f"""
echo "uid=$(id -u)"
command -v apt-get >/dev/null && echo apt=yes
test -d /run/systemd/system && echo systemd=yes
test -x {PYTHON} && {PYTHON} -c 'import sys; print("python=%d.%d" % sys.version_info[:2])'
{PYTHON} -c 'import jinja2' 2>/dev/null && echo jinja2=yes
command -v sudo >/dev/null && echo "sudo=$(sudo -n true 2>&1 && echo yes)"
"""


@dataclass(frozen=True)
class Remote:
    """A host that can run the kit.

    Attributes:
        connection: to it.
        root: what goes before a command of root's: nothing for root.
    """

    connection: Connection
    root: tuple[str, ...]

    @property
    def host(self) -> str:
        """Return it as the user named it."""
        return self.connection.host

    def command(self, *words: str) -> str:
        """Return a command of the host's shell that runs another as root."""
        return quoted(*self.root, *words)


def ready(connection: Connection, needs_jinja2: bool) -> Remote:
    """Return a host that can run the kit.

    Args:
        connection: to the host.
        needs_jinja2: whether the verb does, as all but install do.

    Raises:
        CommandError: the host cannot run the kit; says what it lacks and what to do.
    """
    said = connection.run(quoted("sh", "-c", PROBE)).stdout.decode(errors="replace")
    facts = dict(line.partition("=")[::2] for line in said.splitlines())
    remote = Remote(connection, _root(connection.host, facts))
    _require_debian(connection.host, facts)
    if needs_jinja2 and facts.get("jinja2") != "yes":
        raise CommandError(f"{connection.host} has no python3-jinja2, which harden install brings; run that first")
    return remote


def _root(host: str, facts: dict[str, str]) -> tuple[str, ...]:
    if facts.get("uid") == "0":
        return ()
    if "sudo" not in facts:
        raise CommandError(f"{host} has no sudo and you are not root there; use --ssh root@..., or install sudo")
    if facts["sudo"] != "yes":
        raise CommandError(
            f"sudo on {host} says {last_line(facts['sudo'])!r}; allow this user NOPASSWD in /etc/sudoers.d, or "
            "use --ssh root@..."
        )
    return ("sudo", "-n", "--")


def _require_debian(host: str, facts: dict[str, str]) -> None:
    if facts.get("apt") != "yes":
        raise CommandError(f"{host} has no apt-get; the kit deploys to Debian 12 and newer")
    if facts.get("systemd") != "yes":
        raise CommandError(f"{host} does not run systemd; the kit deploys to Debian 12 and newer, no containers")
    if "python" not in facts:
        raise CommandError(f"{host} has no {PYTHON}; there: apt-get install python3")
    version = tuple(int(part) for part in facts["python"].split("."))
    if version < OLDEST:
        raise CommandError(f"{host} has Python {facts['python']}, Debian 12 has 3.11; the kit needs that or newer")
