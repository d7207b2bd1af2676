"""Hosts as a provider hands them over: Debian with systemd, apt, SSH and Python, and nothing that the kit needs.

What is not in this base has to come from `harden install`. If something of ours slipped in here, the proof that
an empty host is enough would prove nothing; `test_empty.py` looks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from . import packages
from .host import Host
from .lab import Lab

# What a cloud image of Debian has and this kit counts on: the rest of such an image changes nothing here.
INSTALLED = (
    "systemd", "systemd-sysv", "dbus", "apt", "iproute2", "procps", "ca-certificates", "openssh-server", "sudo",
    "python3",
)  # fmt: skip
# What `install` may ask of apt, and what must not be there before.
OFFERED = (
    "nginx", "haproxy", "postgresql", "postgresql-client", "postgresql-contrib", "pgbouncer", "python3-venv",
    "python3-jinja2", "prometheus", "logrotate", "rsync",
)  # fmt: skip
PIP = """[global]
no-index = true
find-links = /srv/wheels
disable-pip-version-check = true
"""


def lab(environ: Mapping[str, str] = os.environ, name: str = "", progress: Callable[[str], None] = print) -> Lab:
    """Return a lab, not open yet, whose hosts are empty.

    Args:
        environ: the lab's settings; its suite and folder count, its packages do not.
        name: as for `Lab`.
        progress: told what takes long.

    Raises:
        LabError: the machine cannot have labs.
    """
    given = {name: value for name, value in environ.items() if name != "HARDEN_LAB_EXTRA"}
    return Lab(name, environ={**given, "HARDEN_LAB_PACKAGES": " ".join(INSTALLED)}, progress=progress)


def give_sources(host: Host, wheels: Path) -> None:
    """Give a host what stands for the internet: apt and pip find there what they find on a real one.

    Args:
        host: an empty one, switched on.
        wheels: a folder of them for its Python.

    Raises:
        LabError: packages could not be had, or the host has no room.
    """
    packages.offer(host, packages.fetch(host.lab, OFFERED))
    host.copy(wheels, "/srv/wheels")
    host.write("/etc/pip.conf", PIP)


def take_sources(host: Host) -> None:
    """Cut a host off from them: apt and pip reach nothing from now on, as without a network."""
    host.shell("mv /srv/packages /srv/.packages; mv /srv/wheels /srv/.wheels")


def return_sources(host: Host) -> None:
    """Take that back."""
    host.shell("mv /srv/.packages /srv/packages; mv /srv/.wheels /srv/wheels")
