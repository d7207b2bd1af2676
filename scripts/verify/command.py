"""`harden verify PATH`: do two versions of a repository give the same answers, and what became faster?"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..arguments import number_of, seconds_for
from ..errors import CommandError
from ..progress import Progress
from .draft import draft
from .page import page
from .prepared import Ready, prepared
from .recipe import Recipe, read
from .report import Report

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
EXAMPLES = """\
examples:
  scripts/harden verify ~/shop --against main               the working tree beside a revision
  scripts/harden verify ~/shop --schema db/schema.sql       over tables of that file, with generated rows
  scripts/harden verify ~/shop --write-recipe verify.toml   a recipe to fill in: session, forms, ignores
  scripts/harden verify ~/shop --recipe verify.toml --methods GET,POST --html report.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden verify PATH [--against REV] [--recipe FILE] [--methods LIST] [...]"
    parser.epilog = (
        "Serves both over equal throw-away databases; the repository is never written.\n"
        f"exit codes: 0 the same answers; 1 differences; 2 it cannot be run, with the reason.\n\n{EXAMPLES}"
    )
    parser.add_argument("path", metavar="PATH", type=Path, help="the repository; its working tree is the newer")
    parser.add_argument("--against", metavar="REV", default="HEAD", help="a revision or a folder (default: HEAD)")
    parser.add_argument("--recipe", metavar="FILE", type=Path, help="what cannot be found out; see docs/verify.md")
    parser.add_argument("--write-recipe", metavar="FILE", type=Path, help="write a first one, and ask nothing")
    parser.add_argument("--app", metavar="TARGET", help="such as server:app (default: as `harden init` finds it)")
    parser.add_argument("--python", metavar="PATH", help="interpreter with the app's packages (default: its venv)")
    parser.add_argument("--workers", type=number_of("workers", 1, 64), default=4, help="of the newer side (4)")
    parser.add_argument("--before-workers", type=number_of("workers", 1, 64), default=1, help="of the older (1)")
    parser.add_argument("--dsn", help="a server where databases may be made (default: an embedded one)")
    parser.add_argument("--schema", metavar="FILE", type=Path, action="append", help="SQL to load; repeatable")
    parser.add_argument("--dump", metavar="FILE", type=Path, help="a dump of pg_dump, plain or custom")
    parser.add_argument("--setup", metavar="COMMAND", help="makes the tables, such as 'flask init-db'")
    parser.add_argument("--seed", metavar="FILE", type=Path, action="append", help="SQL with rows; repeatable")
    parser.add_argument("--rows", type=number_of("rows", 0, 10000), default=20, help="for empty tables (20)")
    parser.add_argument("--methods", metavar="LIST", type=_methods, default=["GET"], help="asked (default: GET)")
    parser.add_argument("--repeats", type=number_of("repeats", 1, 1000), default=5, help="for the times (5)")
    parser.add_argument("--time-limit", metavar="SECONDS", type=seconds_for("a request", 0.1, 600))
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a report as one page, too")


def _methods(text: str) -> list[str]:
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in METHODS]
    if wrong or not names:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of methods ({', '.join(METHODS)})")
    return names


def run(options: argparse.Namespace) -> int:
    """Verify; returns the exit code."""
    if not options.path.is_dir():
        raise CommandError(f"{options.path} is no folder; give the repository's")
    options.path = options.path.resolve()
    if options.write_recipe:
        with _ready(options, Progress()) as ready:
            _write(options.write_recipe, draft(ready.before.app, ready.requests(), ready.notes))
        return 0
    return _told(compared(options), options)


def compared(options: argparse.Namespace) -> Report:
    """Compare the two versions.

    Raises:
        CommandError: It cannot be run.
    """
    progress = Progress()
    with _ready(options, progress) as ready:
        report = ready.report(options.repeats, progress.bar)
    progress.clear()
    return report


@contextmanager
def _ready(options: argparse.Namespace, progress: Progress) -> Iterator[Ready]:
    recipe = read(options.recipe) if options.recipe else Recipe()
    if options.time_limit is not None:
        recipe = replace(recipe, time_limit=options.time_limit)
    folder = tempfile.TemporaryDirectory(prefix="harden-verify-")
    with folder, prepared(options, recipe, Path(folder.name), progress) as ready:
        yield ready


def _told(report: Report, options: argparse.Namespace) -> int:
    print(report.json() if options.format == "json" else report.text())
    if options.html:
        _write(options.html, page(report))
    return 0 if report.is_same else 1


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {file} ({error.strerror}); name another") from None
    print(f"harden: {file} written", file=sys.stderr)
