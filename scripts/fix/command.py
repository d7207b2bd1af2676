"""`harden fix PATH`: rewrites what the audit finds, where answers stay the same; says why it leaves the rest.

Shows a diff; `--write` makes it. Nothing of the repository is executed. If this is wrong, somebody's code is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..audit.report.text import clean
from ..audit.rules import RULES, broken_file
from ..audit.selection import chosen, known
from ..errors import CommandError
from ..progress import Progress
from . import report as reports
from .diff import diff
from .engine import Options, fix
from .fixers import FIXERS
from .report import Report
from .repository import check_clean
from .result import Result
from .write import write

EXAMPLES = """\
examples:
  scripts/harden fix .                            what would change, as a diff
  scripts/harden fix . --select debug-on --write  one rule, into the files
  scripts/harden fix . --unsafe-fixes --reasons   everything, and why the rest stays
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden fix [PATH] [--write] [--select RULES] [--ignore RULES] [--unsafe-fixes] ..."
    parser.epilog = (
        "RULES are those of `harden audit`: slugs, IDs or the beginning of IDs, with commas.\n"
        "exit codes: 0 nothing to fix, or written; 1 a diff; 2 wrong usage, or files that do not parse.\n\n"
        + EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", nargs="?", type=Path, default=Path(), help="the repository")
    parser.add_argument("--write", action="store_true", help="change the files: all of them, or none")
    parser.add_argument("--select", metavar="RULES", type=_words, action="extend", default=[], help="only these")
    parser.add_argument("--ignore", metavar="RULES", type=_words, action="extend", default=[], help="not these")
    parser.add_argument(
        "--unsafe-fixes", action="store_true", help="also what may change answers or needs settings"
    )
    parser.add_argument(
        "--exclude", metavar="GLOB", action="append", default=[], help="leave paths out; repeatable"
    )
    parser.add_argument("--kit", metavar="NAME", default="", help="what the vendored kit is imported as")
    parser.add_argument("--format", choices=("text", "json", "diff"), default="text", help="default: text")
    parser.add_argument("--allow-dirty", action="store_true", help="write where git could not take it back")
    parser.add_argument("--list-fixers", action="store_true", help="what is fixed, and what is not")
    parser.add_argument("--reasons", action="store_true", help="name every place that is left alone")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def run(options: argparse.Namespace) -> int:
    """Fix, or show what that would be; returns the exit code."""
    if options.list_fixers:
        print(reports.listed(FIXERS), end="")
        return 0
    _check(options)
    result = _fixed(options)
    if options.write and result.files:
        if not options.allow_dirty:
            check_clean(options.path, [each.path for each in result.files if each.before is not None])
        write(options.path, result.files)
    _show(result, options)
    if _is_broken(options, result):
        return 2
    return int(bool(result.files) and not options.write)


def _check(options: argparse.Namespace) -> None:
    if not options.path.exists():
        raise CommandError(f"there is no {options.path}; give the repository's folder")
    if not options.path.is_dir():
        raise CommandError(f"{options.path} is no folder; a fix needs to see the whole repository")
    if options.kit and not all(part.isidentifier() for part in options.kit.split(".")):
        raise CommandError(f"--kit {options.kit!r} is no name to import; give one like hardened or app.hardened")


def _fixed(options: argparse.Namespace) -> Result:
    """Run the fixers.

    Raises:
        CommandError: There is nothing to read.
    """
    rules = frozenset(rule.name for rule in chosen(RULES, options.select, options.ignore))
    rules |= {broken_file.RULE.name} if _tells_broken(options) else set()
    fixers = [each for each in FIXERS if rules.intersection(each.rules)]
    progress = Progress()
    wanted = Options(fixers, rules, options.kit, options.unsafe_fixes, tuple(options.exclude))
    try:
        result = fix(options.path, wanted, lambda text: progress.bar(0, 0, text) if sys.stderr.isatty() else None)
    except OSError as error:
        raise CommandError(f"cannot read {error.filename or options.path}: {error.strerror}") from None
    finally:
        progress.clear()
    if not result.audit.files:
        raise CommandError(f"there is no Python file in {options.path} (tests and packages are left out)")
    if not result.audit.is_web and not result.audit.findings:
        raise CommandError(f"nothing in {options.path} imports flask or psycopg2; give the application's folder")
    return result


def _tells_broken(options: argparse.Namespace) -> bool:
    return not any(broken_file.RULE in known(word, RULES) for word in options.ignore)


def _show(result: Result, options: argparse.Namespace) -> None:
    report = Report(result, options.write, options.reasons)
    shown = b"" if options.write or options.format == "json" else diff(result.files)
    if shown and options.format == "text":
        shown = _for_terminal(shown) if sys.stdout.isatty() else shown
        shown += b"\n"
    if options.format != "diff":
        words = reports.text(report) if options.format == "text" else reports.document(report)
        shown += words.encode("utf-8", "backslashreplace")
    sys.stdout.flush()
    sys.stdout.buffer.write(shown)
    sys.stdout.flush()


def _for_terminal(shown: bytes) -> bytes:
    """Return a diff without what a terminal would obey."""
    lines = shown.decode("utf-8", "backslashreplace").split("\n")
    return "\n".join(clean(line.removesuffix("\r").expandtabs()) for line in lines).encode()


def _is_broken(options: argparse.Namespace, result: Result) -> bool:
    return _tells_broken(options) and any(each.rule == broken_file.RULE.id for each in result.audit.findings)
