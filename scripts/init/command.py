"""`harden init [PATH]`: writes a harden.toml for a repository, after looking at it."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.description import DescriptionError
from deploy.load_description import parse, warnings_of

from ..atomic import WriteError, write_atomically
from ..errors import CommandError
from .document import MARK, document, one_line
from .draft import Draft, draft_of

FILE = "harden.toml"
EXAMPLES = """\
examples:
  scripts/harden init                      the repository in this folder
  scripts/harden init ~/shop --dry-run     what would be written, on stdout
  scripts/harden init ~/shop --here        on the host itself: with its cores, memory and versions
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = (
        "The code is read, never imported or run. No password is copied.\n\n"
        "exit codes: 0 written and usable; 1 written, with CHANGE ME where a person has\n"
        "to fill something in; 2 wrong usage, or a harden.toml is there already.\n\n"
        f"{EXAMPLES}"
    )
    parser.add_argument("path", metavar="PATH", nargs="?", type=Path, default=Path(),
                        help="the repository's folder (default: this one)")  # fmt: skip
    parser.add_argument("--output", metavar="FILE", type=Path, help=f"where to write it (default: PATH/{FILE})")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument("--dry-run", action="store_true", help="print it and write nothing")
    parser.add_argument("--here", action="store_true",
                        help="the service will run on this machine: take its figures")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Write the description; returns the exit code."""
    root: Path = options.path
    if not root.is_dir():
        raise CommandError(f"{root} is no folder; give the repository's")
    output = options.output or root / FILE
    if not options.dry_run and not options.force and output.exists():
        raise CommandError(f"{output} is there already; --force replaces it, --dry-run only shows")
    draft = draft_of(root, options.here)
    text = document(draft)
    notes = _checked(text, output.name)
    if options.dry_run:
        print(text, end="")
    else:
        _write(output, text)
        _tell(output, draft, [*draft.notes, *notes])
    return 1 if draft.changes() else 0


def _checked(text: str, name: str) -> list[str]:
    """Return the description's warnings; what is written must load.

    Raises:
        CommandError: it would not: a fault of ours, which is told instead of left to the next command.
    """
    try:
        return warnings_of(parse(text, name))
    except DescriptionError as error:
        raise CommandError(f"what was found is no description: {error}; nothing was written") from None


def _write(output: Path, text: str) -> None:
    try:
        write_atomically(output, text)
    except WriteError as error:
        raise CommandError(str(error)) from None


def _tell(output: Path, draft: Draft, notes: list[str]) -> None:
    app = draft.values["app", "target"].value
    print(f"wrote {output}: {draft.values['app', 'name'].value} serves {app}")
    for (section, key), found in draft.changes().items():
        print(f"{MARK}: {section}.{key}: {one_line(found.change)}")
    for note in notes:
        print(f"note: {one_line(note)}")
    if not draft.changes():
        print(f"next: read {output}, then scripts/harden plan {output}")
