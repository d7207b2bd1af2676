"""What must be so on a host before anything is changed there: each refusal is one line with the next step.

Looks and changes nothing. If a check is missing here, an install stops half-way, where the next run goes on.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path

from ..description import Description
from ..unit_network import listens_on_network
from . import ports
from .errors import HostError

KINDS = ("app", "database", "balancer", "monitoring")
MB = 1024 * 1024
# What is needed free, by folder: what packages bring, and a release with its virtual environment.
ALWAYS = {"/opt": 200, "/var": 100, "/etc": 10}
FOR_PACKAGES = {"/usr": 400, "/var": 300}
OWN = {80: ("nginx", "haproxy"), 443: ("nginx", "haproxy"), 5432: ("postgres",), 6432: ("pgbouncer",)}


def require_host(root: Path = Path("/")) -> None:
    """Refuse to go on where the kit cannot work.

    Raises:
        HostError: not root, no systemd, or no Debian.
    """
    if os.geteuid() != 0:
        raise HostError("this changes the host and needs root; run it with sudo")
    if not (root / "run/systemd/system").is_dir():
        raise HostError("systemd does not run this host (a container?); the kit needs Debian with systemd")
    if not (root / "etc/debian_version").exists() or not (root / "usr/bin/apt-get").exists():
        raise HostError(f"this host is no Debian ({_system()}); the kit needs Debian 12 or 13 with apt")


def require_kinds(description: Description, kinds: Iterable[str]) -> None:
    """Refuse kinds of host that a description has no use for.

    Raises:
        HostError: says which key would make it one.
    """
    kinds = tuple(kinds)
    if "balancer" in kinds and not description.front.balancer:
        raise HostError("this is to be a balancer, and front.balancer is false; set it to true")
    if "balancer" in kinds and "app" in kinds:
        raise HostError("a host cannot be balancer and app: nginx and HAProxy both have port 80; take two hosts")
    if "monitoring" in kinds and (not description.watch.scrape_from or description.front.kind == "none"):
        raise HostError("this is to be Prometheus' host, and watch.scrape_from lets nobody in; add its address")
    beside = listens_on_network(description) and description.pgbouncer.place == "database"
    if {"app", "database"} <= set(kinds) and beside:
        raise HostError(
            "this is to be both the app's host and its database's, and hosts.app or database.host name another; "
            'leave both keys at their defaults ("localhost", "/run/postgresql")'
        )


def require_room(brings_packages: Iterable[str], root: Path = Path("/")) -> None:
    """Refuse a disk that has not enough room, before it is full.

    Args:
        brings_packages: those that are to be installed.
        root: the host's root folder.

    Raises:
        HostError: says where, how much there is and how much is needed.
    """
    needed: dict[int, tuple[str, int]] = {}  # by file system: the folders on it and their sum
    for table in (ALWAYS, FOR_PACKAGES if tuple(brings_packages) else {}):
        for folder, megabytes in table.items():
            device = (root / folder.lstrip("/")).stat().st_dev
            names, total = needed.get(device, ("", 0))
            known = folder in names.split(", ")
            needed[device] = (names if known else f"{names}, {folder}".lstrip(", "), total + megabytes)
    for names, total in needed.values():
        space = os.statvfs(root / names.partition(", ")[0].lstrip("/"))
        free = space.f_bavail * space.f_frsize // MB
        if free < total:
            raise HostError(f"the disk of {names} has {free} MB free, and {total} MB are needed; make room there")


def ports_of(description: Description, kinds: Iterable[str]) -> tuple[int, ...]:
    """Return the ports that programs of these kinds listen on."""
    kinds, front, wanted = tuple(kinds), description.front, []
    if "balancer" in kinds or ("app" in kinds and front.kind == "nginx"):
        wanted.append(80)
        if front.certificate and ("balancer" in kinds or not front.balancer):
            wanted.append(443)
    if "database" in kinds:
        wanted.append(description.database.port)
        if listens_on_network(description):
            wanted.append(description.pgbouncer.port)
    return tuple(wanted)


def require_ports(description: Description, kinds: Iterable[str]) -> None:
    """Refuse ports that a program holds which is none of ours.

    Raises:
        HostError: says which program.
    """
    kinds = tuple(kinds)
    own = {**OWN, description.database.port: ("postgres",), description.pgbouncer.port: ("pgbouncer",)}
    for port in ("haproxy",) if "app" in kinds else ("nginx",) if "balancer" in kinds else ():
        own |= {number: tuple(name for name in own[number] if name != port) for number in (80, 443)}
    for holder in ports.holders(ports_of(description, kinds)):
        if holder.name not in own[holder.port]:
            raise HostError(
                f"port {holder.port} is held by {holder}, and {own[holder.port][0]} needs it; stop and disable "
                "that, or change its port"
            )


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return platform.system()
