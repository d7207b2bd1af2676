"""`harden render`: writes every file of a host into a folder, and lists them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from . import folder
from .rendered import Rendered, rendered, usable
from .rendered import add_arguments as add_common

EXAMPLES = """\
examples:
  scripts/harden render                                   ./harden.toml into ./rendered
  scripts/harden render harden.toml --output /tmp/shop    elsewhere
  scripts/harden render --as balancer --as monitoring     of other hosts
  scripts/harden render --secrets secrets.env             with PgBouncer's userlist.txt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden render [FILE] [--as KIND]... [--output DIR] [--secrets FILE]"
    parser.epilog = (
        "exit codes: 0 written; 2 wrong usage, or what cannot be rendered.\n"
        "Nothing outside of DIR is changed, and DIR only when this made it.\n\n"
        f"{EXAMPLES}"
    )
    add_common(parser)
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path("rendered"),
                        help="where to (default: ./rendered)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Write the files; returns the exit code."""
    found = usable(rendered(options))
    removed = folder.write(options.output, found.files)
    print("\n".join(_lines(found, options.output)))
    for kind, path in removed:
        print(f"removed {kind}{path}, which is rendered no more")
    return 0


def _lines(found: Rendered, output: Path) -> Iterator[str]:
    rows = [
        (kind, f"{file.mode:04o} {file.owner}:{file.group}", file.path, file.reload)
        for kind, files in found.files.items()
        for file in files
    ]
    whose = max((len(row[1]) for row in rows), default=0)
    paths = max((len(row[2]) for row in rows), default=0)
    for kind in found.kinds:
        yield kind
        yield from (f"  {row[1]:{whose}}  {row[2]:{paths}}  {row[3]}".rstrip() for row in rows if row[0] == kind)
    for path, why in found.left_out.items():
        yield f"left out: {path}: {why}; {found.no_secrets or 'add it to the file of secrets'}"
    yield f"{len(rows)} files in {output}{_warning(found)}"


def _warning(found: Rendered) -> str:
    has_secrets = any(file.is_secret for files in found.files.values() for file in files)
    return ", secrets among them: keep it out of version control" if has_secrets else ""
