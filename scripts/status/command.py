"""`harden status [NAME]`: which release serves on this host, how its units are, and what was done last."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from deploy.host.looking import look
from deploy.host.places import Places
from deploy.host.release import app_named, require_root

from ..host_outcome import told

EXAMPLES = """\
examples:
  scripts/harden status                            the only app of this host
  scripts/harden status shop --json                for scripts
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden status [NAME] [--json]"
    parser.epilog = (
        "Runs on the host, as root. exit codes: 0 it serves; 1 it does not; 2 wrong usage, or\n"
        f"no such app.\n\n{EXAMPLES}"
    )
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="where the host has several apps")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Print how an app is; returns the exit code."""

    def act() -> int:
        name = app_named(options.name)
        require_root()
        found = look(Places(name))
        print(json.dumps(found, indent=1) if options.json else "\n".join(lines(found)), flush=True)
        return 0 if found["serves"] else 1

    return told(act)


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield what `look` has found as text."""
    yield f"{found['app']}: {_summary(found)}"
    if found["interrupted"]:
        yield f"interrupted: {_interrupted(found)}"
    gate = found["gate"]
    if gate:
        said = f" ({gate['line']})" if gate["status"] != 200 and gate["line"] else ""
        yield f"gate: {gate['path']} answers {gate['status'] or 'nothing'}{said}"
    yield f"disk: {found['disk_free_mb']} MB free"
    yield from _section("units", (_unit(name, unit) for name, unit in found["units"].items()))
    yield from _section("releases", map(_release, found["releases"]))
    yield from _section("last changes", map(_audited, found["audit"]))


def _summary(found: dict[str, Any]) -> str:
    if not found["release"]:
        return "installed, and no release yet; run harden release"
    where = f" as instance {found['slot']}" if found["slot"] else ""
    since = f" since {found['since']}" if found["since"] else ""
    return f"{found['release']} {'serves' if found['serves'] else 'DOES NOT SERVE'}{where}{since}"


def _interrupted(found: dict[str, Any]) -> str:
    what = found["interrupted"]
    if "problem" in what:
        return str(what["problem"])
    return (
        f"{what['verb']} {what['release']} at {what['phase']!r}, begun {what['started']}; if it is not under way, "
        "the next release or rollback undoes or finishes it"
    )


def _section(title: str, rows: Iterator[str] | map[str]) -> Iterator[str]:
    found = list(rows)
    if found:
        yield ""
        yield title
        yield from (f"  {row}" for row in found)


def _unit(name: str, unit: dict[str, Any]) -> str:
    memory = f"{unit['memory_mb']} MB" if unit["memory_mb"] is not None else ""
    restarts = f"{unit['restarts']} restarts" if unit["restarts"] else ""
    return "  ".join(filter(None, (f"{name:32} {unit['state']:10}", memory, restarts))).rstrip()


def _release(release: dict[str, Any]) -> str:
    mark = "*" if release["is_current"] else " "
    commit = f"commit {release['commit'][:12]}" if release["commit"] else ""
    return "  ".join(filter(None, (f"{mark} {release['id']}", f"by {release['by']}", commit)))


def _audited(line: dict[str, Any]) -> str:
    words = [str(line.get(key, "")) for key in ("time", "who", "verb", "result", "release")]
    more = [f"({line[key]})" for key in ("message", "reason") if line.get(key)]
    return " ".join(filter(None, [*words, *more]))
