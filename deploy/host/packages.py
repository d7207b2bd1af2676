"""Debian packages: what each kind of host needs, brought by apt, with nothing started on the way.

Installed ones are left as they are, so that without anything to bring no network is needed. Knows apt and dpkg and
no configuration. If this is wrong, a host lacks a program, or a package serves its own defaults to the world.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..description import Description
from ..errors import InputError
from ..pgbouncer_versions import read_version
from ..unit_network import listens_on_network
from . import durable
from .command import is_active, run, systemctl
from .errors import HostError

LOCK_SECONDS = 300  # unattended-upgrades may be at work
APT = ("apt-get", "-q", "-y", f"--option=DPkg::Lock::Timeout={LOCK_SECONDS}")
# What a person has changed in a package's own configuration stays.
FORCE = ("--force-confdef", "--force-confold")
KEEP = tuple(f"--option=Dpkg::Options::={word}" for word in FORCE)
LONGEST = 1800.0  # seconds, for a slow mirror
POLICY = Path("/usr/sbin/policy-rc.d")
MARK = "# Written by harden"
UPDATES = Path("/var/lib/dpkg/updates")  # has files when dpkg was interrupted
CLIENT = "postgresql-client"  # psql of whatever version, which speaks to PgBouncer's console
POLICY_TEXT = """#!/bin/sh
{mark}: what packages are being installed is configured before it starts. For as long as process {pid} runs.
[ "$(cat /proc/sys/kernel/random/boot_id)" = {boot} ] || exit 0
[ "$(cut -d' ' -f22 /proc/{pid}/stat 2>/dev/null)" = {start} ] || exit 0
exit 101
"""


def wanted(description: Description, kinds: Iterable[str]) -> tuple[str, ...]:
    """Return the packages that a host of these kinds needs."""
    bouncer = description.pgbouncer.enabled
    beside, kinds = listens_on_network(description), tuple(kinds)
    console = () if "database" in kinds else (CLIENT,)  # which the server brings along
    of = {
        "app": (
            "python3-venv",
            *(("nginx",) if description.front.kind == "nginx" else ()),
            *(("pgbouncer", *console) if bouncer and not beside else ()),
        ),
        "database": (f"postgresql-{description.database.version}", *(("pgbouncer",) if beside else ())),
        "balancer": ("haproxy",),
        "monitoring": ("prometheus",),
    }
    names = {name for kind in kinds for name in of[kind]}
    return tuple(sorted({"python3-jinja2", *names}))  # which renders all files


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed whole."""
    form = "${Package} ${db:Status-Abbrev} ${Version}\n"
    done = run("dpkg-query", "--show", f"--showformat={form}", *names, check=False)
    rows = (line.split() for line in done.stdout.splitlines())
    return {row[0]: row[2] for row in rows if len(row) == 3 and row[1] in ("ii", "hi")}


def missing(names: Iterable[str]) -> tuple[str, ...]:
    """Return those that are not installed."""
    names = tuple(names)
    there = versions(names)
    if CLIENT in names and versions((f"{CLIENT}-[0-9]*",)):
        names = tuple(name for name in names if name != CLIENT)
    return tuple(name for name in names if name not in there)


def is_interrupted() -> bool:
    """Tell whether dpkg was stopped in the middle of something."""
    return any(UPDATES.iterdir()) or bool(run("dpkg", "--audit", check=False).stdout.strip())


def repair() -> None:
    """Have dpkg finish what was interrupted.

    Raises:
        HostError: it cannot; with its own words.
    """
    until = time.monotonic() + LOCK_SECONDS
    with nothing_starts():
        while True:
            done = run("dpkg", *FORCE, "--configure", "-a", check=False, timeout=LONGEST)
            if done.returncode == 0:
                return
            if "lock" not in done.stderr or time.monotonic() > until:
                break
            time.sleep(2)
    tail = (done.stdout + done.stderr).splitlines()[-15:]
    raise HostError("dpkg was interrupted and cannot finish; see dpkg --configure -a", tail)


def update() -> str:
    """Fetch apt's lists; returns why that failed, "" when it did not: what is needed may be there all the same."""
    done = run(*APT, "--option=APT::Update::Error-Mode=any", "update", check=False, timeout=LONGEST)
    return _reason(done.stderr + done.stdout) if done.returncode else ""


def require_offered(names: Iterable[str], why: str) -> None:
    """Refuse before anything is installed when apt has none of a package.

    Args:
        names: packages.
        why: what apt said when it fetched its lists.

    Raises:
        HostError: there is none; with apt's own reason, or the version that there is.
    """
    for name in names:
        if candidate(name):
            continue
        if why:
            raise HostError(f"apt cannot get {name}: {why}; mend the host's network or /etc/apt/sources.list")
        raise HostError(f"apt has no package {name}{_other(name)}; see /etc/apt/sources.list")


def candidate(name: str) -> str:
    """Return the version of a package that apt would install; "" for none."""
    lines = run("apt-cache", "policy", name, check=False).stdout.splitlines()
    found = next((line.split()[1] for line in lines if line.split()[:1] == ["Candidate:"]), "(none)")
    return "" if found == "(none)" else found


def install(names: Iterable[str], why: str = "") -> None:
    """Install packages, and start nothing of them.

    Args:
        names: which.
        why: what apt said when it fetched its lists.

    Raises:
        HostError: apt could not; with its own reason.
    """
    with nothing_starts():
        done = run(*APT, *KEEP, "--no-install-recommends", "install", *names, check=False, timeout=LONGEST)
    if done.returncode:
        said = _reason(done.stderr + done.stdout)
        tail = (done.stdout + done.stderr).splitlines()[-15:]
        raise HostError(f"apt could not install {' '.join(names)}: {said or why or 'it gave no reason'}", tail)


def require_pgbouncer(description: Description, names: Iterable[str]) -> None:
    """Refuse a PgBouncer of another version than the description is for: a key that it lacks stops its start.

    Raises:
        HostError: the installed one, or the one that would be, has another version; says both.
    """
    if "pgbouncer" not in names:
        return
    found, told = versions(["pgbouncer"]).get("pgbouncer") or candidate("pgbouncer"), description.pgbouncer.version
    try:
        is_same = not found or read_version(found)[:2] == read_version(told)[:2]
    except InputError as error:
        raise HostError(f"the host's PgBouncer: {error}") from None
    if not is_same:
        upstream = found.partition("-")[0]
        raise HostError(
            f"this host has PgBouncer {found}, and pgbouncer.version is {told}; "
            f'set pgbouncer.version = "{upstream}"'
        )


def leave_to_us(unit: str) -> None:
    """Stop a package's own service and keep it from starting: the app has one of its own."""
    systemctl("disable", "--now", unit)


def is_in_the_way(unit: str) -> bool:
    """Tell whether a package's own service runs, or would after a boot."""
    return is_active(unit) or systemctl("is-enabled", "--quiet", unit, check=False).returncode == 0


def is_as_packaged(package: str, path: Path) -> bool:
    """Tell whether a package's configuration file is as Debian ships it, or not there."""
    if not path.exists():
        return True
    rows = run("dpkg-query", "--show", "--showformat=${Conffiles}\n", package, check=False).stdout.splitlines()
    shipped = {row.split()[0]: row.split()[1] for row in rows if len(row.split()) >= 2}
    found = run("md5sum", str(path), check=False).stdout.split()
    return bool(found) and shipped.get(str(path)) == found[0]


@contextmanager
def nothing_starts() -> Iterator[None]:
    """Keep packages from starting their services; a file of somebody else's for that purpose is left alone.

    What it puts there says itself that nothing is held back, once this process is gone.
    """
    if POLICY.exists() and not _is_ours():
        yield
        return
    start = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    text = POLICY_TEXT.format(mark=MARK, pid=os.getpid(), boot=boot, start=start)
    durable.replace(POLICY, text, 0o755)
    try:
        yield
    finally:
        durable.remove(POLICY)


def clean() -> None:
    """Remove what an interrupted run has left of `nothing_starts`."""
    if POLICY.exists() and _is_ours():
        durable.remove(POLICY)


def _is_ours() -> bool:
    return MARK in POLICY.read_text(errors="replace")


def _reason(said: str) -> str:
    """Return apt's own words for a failure, in one line."""
    lines = [line[2:].strip() for line in said.splitlines() if line.startswith("E:")]
    lines += [line[2:].strip() for line in said.splitlines() if line.startswith("W:")]
    return lines[0][:300] if lines else ""


def _other(name: str) -> str:
    """Return which PostgreSQL there is instead, where one was asked for."""
    if not name.startswith("postgresql-"):
        return ""
    found = candidate("postgresql").partition("+")[0]
    return f"; this Debian has {found}: set database.version = {found}" if found else ""
