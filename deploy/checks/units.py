"""systemd's own tools on a copy of the units: they verify, and expose no more than was promised.

Knows which unit may have which exposure, and nothing of directives. If a bar is too high here, a sandbox gets
holes that nobody sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..files import File
from ..unit_network import app_reach, bouncer_reach
from . import staging
from .outcome import Finding, Said, Skip, said
from .programs import last_line, program, run
from .subject import Subject

UNITS = "/etc/systemd/system/"
SHIPPED = ("usr/lib/systemd/system", "lib/systemd/system")
ENVIRON = {"SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
EXEC = re.compile(r"^Exec\w+=[-@:+!|]*(/\S+)", re.MULTILINE)
TARGETS = ("basic", "sysinit", "shutdown", "sockets", "network", "network-online", "multi-user")
OVERALL = re.compile(r"Overall exposure level for \S+: ([\d.]+)")
SOCKETS_ONLY, NETWORK = 2, 11  # tenths of exposure: what was measured of units that really serve
FRONT, POSTGRESQL = 14, 13
# What packages ship, as far as a drop-in of ours takes something over: for a machine that lacks the package.
STAND_INS = {
    "nginx.service": "[Service]\nType=forking\nPIDFile=/run/nginx.pid\nExecStart=/usr/sbin/nginx\n"
    "ExecReload=/usr/sbin/nginx -s reload\n",
    "haproxy.service": "[Service]\nType=notify\nExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -p $PIDFILE\n"
    'Environment="CONFIG=/etc/haproxy/haproxy.cfg"\n',
    "postgresql@.service": "[Service]\nType=forking\nExecStart=-/usr/bin/pg_ctlcluster %i start\n",
    "postgresql.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
}


@dataclass(frozen=True)
class Staged:
    """Units below a folder that stands for the host's root.

    Attributes:
        root: the folder.
        names: all of them, templates with an instance.
    """

    root: Path
    names: tuple[str, ...]


def verify(subject: Subject) -> Said:
    """Find what systemd does not understand."""
    analyze = program("systemd-analyze", "systemd")
    staged = _staged(subject, "verify")
    done = run(
        [analyze, f"--root={staged.root}", "verify", "--man=no", "--recursive-errors=no", *staged.names],
        ENVIRON,
    )  # fmt: skip
    lines = [line.replace(str(staged.root), "").strip() for line in (done.stdout + done.stderr).splitlines()]
    found = [Finding(line, "it is rendered from harden.toml; report it") for line in lines if line]
    if done.returncode and not found:
        found = [Finding(last_line(done), "run systemd-analyze verify on the unit")]
    return said(found[:10], f"{len(staged.names)} units")


def exposure(subject: Subject) -> Said:
    """Find units that expose more than was promised."""
    analyze = program("systemd-analyze", "systemd")
    staged = _staged(subject, "exposure")
    bars = {unit: bar for unit in staged.names if (bar := _bar(subject, unit)) is not None}
    if not bars:
        raise Skip("no service of ours is on this kind of host")
    measured = {unit: _exposure(analyze, staged.root, unit) for unit in bars}
    unknown = [unit for unit, tenths in measured.items() if tenths is None]
    if unknown:
        text = f"systemd-analyze security gives no figure for {' and '.join(unknown)}"
        return said([Finding(text, "systemd 250 and newer do; ask it about the unit that runs")])
    known = {unit: tenths for unit, tenths in measured.items() if tenths is not None}
    found = [
        Finding(f"{unit} has an exposure of {tenths / 10:.1f}, and {bars[unit] / 10:.1f} was promised",
                f"see systemd-analyze security {unit}")
        for unit, tenths in known.items()
        if tenths > bars[unit]
    ]  # fmt: skip
    shown = (f"{unit.removesuffix('.service')} {tenths / 10:.1f}" for unit, tenths in known.items())
    return said(found, ", ".join(shown))


def _exposure(analyze: str, root: Path, unit: str) -> int | None:
    """Return a unit's exposure in tenths; None where systemd tells none."""
    done = run([analyze, f"--root={root}", "security", "--offline=true", "--no-pager", unit], ENVIRON)
    level = OVERALL.search(done.stdout)
    return round(float(level[1]) * 10) if level else None


def _bar(subject: Subject, unit: str) -> int | None:
    """Return what a unit may expose, in tenths; None where nothing was promised."""
    name, description = subject.name, subject.description
    reaches = {f"{name}-pgbouncer@": bouncer_reach, f"{name}-candidate@": app_reach, f"{name}@": app_reach}
    for prefix, reach in reaches.items():
        if unit.startswith(prefix) and unit.endswith(".service"):
            return SOCKETS_ONLY if reach(description).kind == "none" else NETWORK
    if unit in ("nginx.service", "haproxy.service"):
        return FRONT
    return POSTGRESQL if unit.startswith("postgresql@") else None


def _staged(subject: Subject, what: str) -> Staged:
    files = {path: file for path, file in subject.all_files().items() if path.startswith(UNITS)}
    if not files:
        raise Skip("no unit is rendered for this kind of host")
    root = subject.scratch / f"units-{what}"
    system = root / "usr/lib/systemd/system"
    system.mkdir(parents=True)
    staging.copy(root, files.values(), lambda text: text)
    for target in TARGETS:
        (system / f"{target}.target").write_text("[Unit]\n")
    names = tuple(sorted(_names(subject, files)))
    for unit, text in _shipped(subject, files).items():
        (system / unit).write_text(text)
    _make_programs(root, names)
    return Staged(root, names)


def _names(subject: Subject, files: Mapping[str, File]) -> Iterator[str]:
    for path in files:
        unit = path.removeprefix(UNITS).partition("/")[0].removesuffix(".d")
        if "@." not in unit:
            yield unit
            continue
        prefix, _, suffix = unit.partition("@")
        count = subject.description.pgbouncer.processes
        instances = map(str, range(1, min(count, 2) + 1)) if prefix.endswith("-pgbouncer") else iter("ab")
        yield from (f"{prefix}@{instance}{suffix}" for instance in instances)


def _shipped(subject: Subject, files: Iterable[str]) -> dict[str, str]:
    """Return the units that drop-ins of ours change, as the host has them, or as they are shipped."""
    wanted = {"postgresql.service"}
    for path in files:
        unit, _, drop_in = path.removeprefix(UNITS).partition(".d/")
        if drop_in:
            wanted.add(re.sub(r"@.+(?=\.service)", "@", unit))
    return {unit: _host_unit(subject, unit) or STAND_INS.get(unit, "") for unit in sorted(wanted)}


def _host_unit(subject: Subject, unit: str) -> str:
    for folder in SHIPPED:
        place = subject.root / folder / unit
        if place.is_file():
            return place.read_text(encoding="utf-8", errors="replace")
    return ""


def _make_programs(root: Path, names: Iterable[str]) -> None:
    """Make what units start, for systemd looks whether it is there."""
    instances = {name.partition("@")[2].rpartition(".")[0] for name in names if "@" in name}
    for unit in [*root.glob("etc/systemd/system/**/*"), *root.glob("usr/lib/systemd/system/*")]:
        if not unit.is_file():
            continue
        for path in EXEC.findall(unit.read_text(encoding="utf-8")):
            for instance in {path.replace("%i", each) for each in instances} | {path}:
                stub = staging.place(root, instance)
                stub.write_text("#!/bin/sh\n")
                stub.chmod(0o755)
