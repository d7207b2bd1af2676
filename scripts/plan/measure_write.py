"""Put a recommended configuration into harden.toml: only its numbers change, comments and order stay.

The new text is checked as `harden check` checks a file, and for what the plan refuses, before it takes the name.
"""

from __future__ import annotations

import re
from pathlib import Path

from deploy.description import Description, DescriptionError
from deploy.load_description import parse
from deploy.plan_problems import problems
from deploy.plan_sizes import sizes

from ..atomic import WriteError, write_atomically
from ..capacity.system import System
from ..errors import CommandError


def write(file: Path, system: System) -> str:
    """Write it; returns a line about what was changed.

    Raises:
        CommandError: the file cannot be read, or would be one that is refused; it stays as it was.
    """
    try:
        text = file.read_text(encoding="utf-8")
        before = parse(text, str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'it is no UTF-8'}") from None
    except DescriptionError as error:
        raise CommandError("; ".join(error.problems)) from None
    _refuse_other_hosts(file, before, system)
    values = {
        ("hosts", "cores"): system.cores, ("server", "workers"): system.workers,
        ("server", "threads"): system.threads, ("database", "cores"): system.database_cores,
    }  # fmt: skip
    changed = text
    for (section, key), value in values.items():
        changed = set_number(changed, section, key, value)
    _refuse_invalid(file, changed, system)
    try:
        write_atomically(file, changed)
    except WriteError as error:
        raise CommandError(str(error)) from None
    return f"wrote {file}: " + ", ".join(f"{section}.{key} = {value}" for (section, key), value in values.items())


def set_number(text: str, section: str, key: str, value: int) -> str:
    """Return TOML in which a key of a section has this number, what stands behind it kept."""
    lines = text.splitlines(keepends=True)
    header = re.compile(rf"\s*\[\s*{section}\s*\]\s*(?:#.*)?$")
    start = next((n for n, line in enumerate(lines) if header.match(line)), None)
    if start is None:
        ending = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{ending}\n[{section}]\n{key} = {value}\n"
    end = next((n for n in range(start + 1, len(lines)) if re.match(r"\s*\[", lines[n])), len(lines))
    for number in range(start + 1, end):
        found = re.match(rf"(\s*{key}\s*=\s*)[0-9_]+(.*)", lines[number], re.DOTALL)
        if found:
            lines[number] = f"{found[1]}{value}{found[2]}"
            return "".join(lines)
    if not lines[start].endswith("\n"):
        lines[start] += "\n"
    lines.insert(start + 1, f"{key} = {value}\n")
    return "".join(lines)


def _refuse_other_hosts(file: Path, before: Description, system: System) -> None:
    named = len(before.hosts.app)
    if named != system.hosts:
        raise CommandError(
            f"it takes {system.hosts} hosts and {file} names {named}; nothing was written: write the names into "
            "hosts.app and run this again"
        )


def _refuse_invalid(file: Path, text: str, system: System) -> None:
    try:
        after = parse(text, str(file))
    except DescriptionError as error:
        raise CommandError(f"nothing was written, it would be refused: {'; '.join(error.problems)}") from None
    found = problems(after, sizes(after))
    if found:
        raise CommandError(f"nothing was written, it would be refused: {found[0]}")
    if (after.hosts.cores, after.server.threads) != (system.cores, system.threads):
        raise CommandError(f"nothing was written: the numbers in {file} stand where no line has them alone")
