"""`harden check`: runs every check and says what it found."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.checks.outcome import Outcome
from deploy.checks.subject import Subject
from deploy.checks.table import CHECKS, outcomes
from deploy.pgbouncer_versions import HOLES

from ..errors import CommandError
from ..progress import Progress
from ..render.rendered import Rendered, rendered
from ..render.rendered import add_arguments as add_common
from . import table

EXAMPLES = """\
examples:
  scripts/harden check                            ./harden.toml, before anything is installed
  scripts/harden check /etc/shop/harden.toml      on a host, as root: what lies there as well
  scripts/harden check --as balancer --json       of another kind of host, for a program
  scripts/harden check --accept CVE-2026-6664     a hole that a firewall closes
"""
WIDTH = 120  # where the output is no terminal: the same bytes everywhere


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden check [FILE] [--as KIND]... [--dsn DSN] [--accept NAME]... [--json]"
    parser.epilog = (
        "exit codes: 0 no findings; 1 findings; 2 wrong usage, or a description that cannot be read.\n"
        "A check that cannot look here is listed as skipped, with what would help.\n\n"
        f"{EXAMPLES}"
    )
    add_common(parser)
    parser.add_argument("--dsn", help="a superuser's, to compare verifiers; without a password, see PGPASSWORD")
    parser.add_argument("--accept", metavar="NAME", action="append", default=[],
                        help="a check or a CVE whose findings do not count; may be repeated")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Print what was found; returns the exit code."""
    _check_accepted(options.accept)
    found = rendered(options)
    with scratch() as folder:
        said = list(_asked(_subject(found, folder, options), Progress()))
    if options.json:
        print(json.dumps(table.data(str(found.source), found.kinds, said), indent=1))
    else:
        print("\n".join(table.lines(said, _width())))
    return 1 if any(each.findings for each in said) else 0


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder that everybody may pass and nobody else may list, and remove it with all in it."""
    folder = Path(tempfile.mkdtemp(prefix="harden-check-", dir=_short_folder()))
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _short_folder() -> str | None:
    """Return where it goes: a socket's path must not be longer than 107 characters."""
    return None if len(tempfile.gettempdir()) <= 30 else "/tmp" if os.access("/tmp", os.W_OK) else None


def _check_accepted(names: list[str]) -> None:
    known = {check.name for check in CHECKS} | {hole.finding.cve for hole in HOLES}
    for name in names:
        if name not in known:
            raise CommandError(f"--accept: {name[:60]!r} is no check and no known hole; the output has the names")


def _asked(subject: Subject, progress: Progress) -> Iterator[Outcome]:
    for count, each in enumerate(outcomes(subject), 1):
        if sys.stderr.isatty():
            progress.bar(count, len(CHECKS), each.name)
        yield each
    progress.clear()


def _subject(found: Rendered, folder: Path, options: argparse.Namespace) -> Subject:
    return Subject(
        source=found.source, description=found.description, plan=found.plan, files=found.files, scratch=folder,
        left_out=found.left_out, broken=found.broken, secrets=found.secrets, no_secrets=found.no_secrets,
        dsn=_dsn(options.dsn), accepted=frozenset(options.accept),
    )  # fmt: skip


def _dsn(given: str | None) -> str:
    if not given:
        return ""
    from ..plan.server import dsn_of  # needs psycopg2, which a host lacks

    return dsn_of(given, {})


def _width() -> int:
    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
