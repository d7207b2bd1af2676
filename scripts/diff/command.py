"""`harden diff`: what a release would change here, before it does."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from deploy.files import File
from deploy.host.places import Places

from ..errors import CommandError
from ..render import folder
from ..render.rendered import Rendered, paths_of_others, rendered, usable
from ..render.rendered import add_arguments as add_common
from .compare import Difference, Look, Unreadable, among, applied, differences, on_host
from .masking import is_private, masked, values_of

EXAMPLES = """\
examples:
  scripts/harden diff                           this host, beside ./harden.toml; as root
  scripts/harden diff --against rendered        what was rendered before, beside it
  scripts/harden diff --as balancer             of another kind of host
"""
COLOURS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden diff [FILE] [--as KIND]... [--against DIR] [--secrets FILE]"
    parser.epilog = (
        "exit codes: 0 the same; 1 differences; 2 wrong usage, or files that cannot be read.\n"
        "Secret files are only said to differ; secrets in other files are shown as ***.\n\n"
        f"{EXAMPLES}"
    )
    add_common(parser)
    parser.add_argument("--against", metavar="DIR", type=Path,
                        help="a folder of harden render (default: this host)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print the differences; returns the exit code."""
    found = usable(rendered(options))
    wanted = {file.path: file for files in found.files.values() for file in files}
    before, look = _other(found, options.against)
    before = [file for file in before if file.path not in found.left_out]
    seen = list(differences(wanted.values(), before, look))
    _show((each for each in seen if isinstance(each, Difference)), values_of(found.secrets))
    for path, why in found.left_out.items():
        print(f"not compared: {path}: {why}; {found.no_secrets or 'add it to the file of secrets'}")
    unreadable = [str(each) for each in seen if isinstance(each, Unreadable)]
    if unreadable:
        raise CommandError(f"{len(unreadable)} files cannot be read, such as {unreadable[0]}; use sudo")
    return 1 if seen else 0


def _other(found: Rendered, against: Path | None) -> tuple[list[File], Look]:
    """Return what was rendered before for the other side, and what looks at it."""
    if against is None:
        others = paths_of_others(found)  # a host may be more than what is asked about
        before = applied(Places(found.description.app.name), found.kinds)
        return [file for file in before if file.path not in others], on_host()
    files = [file for (kind, _), file in folder.read(against).items() if kind in found.kinds]
    return files, among(files)


def _show(seen: Iterable[Difference], values: Iterable[str]) -> None:
    shown = "\n".join(line for each in seen for line in _lines(each, values))
    if shown:
        print(_coloured(shown) if _has_colours() else shown)


def _lines(each: Difference, values: Iterable[str]) -> Iterator[str]:
    yield f"{each.path}: {', '.join(each.words)}"
    if each.is_secret or is_private(each.old) or is_private(each.new):
        if each.old != each.new:
            yield "    (secret: not shown)"
        return
    old_name = "/dev/null" if each.words == ("new",) else each.path
    new_name = "/dev/null" if each.words == ("gone",) else each.path
    diff = difflib.unified_diff(
        each.old.splitlines(), each.new.splitlines(), f"is {old_name}", f"should be {new_name}", lineterm=""
    )
    yield from (masked(line, values) for line in diff)


def _has_colours() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _coloured(text: str) -> str:
    return "\n".join(map(_coloured_line, text.split("\n")))


def _coloured_line(line: str) -> str:
    colour = COLOURS.get(line[:1], BOLD if line[:1] == "/" else "")
    return f"{colour}{line}{PLAIN}" if colour else line
