"""`harden audit PATH`: reads Flask + psycopg2 code and says what will break in production, and where.

Nothing that is read is executed. A file that cannot be read or parsed is a finding (H901) and exit code 2, unless
it is ignored, excluded or in the baseline.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from ..errors import CommandError
from ..progress import Progress
from . import baseline
from .changed import at_revision
from .finding import Finding
from .report.report import Report, numbered
from .reporting import add_gate, add_help, add_output, code, explained, say, sure, write
from .rule import Rule
from .rules import RULES, broken_file
from .run import Result, audit
from .selection import chosen, known

EXAMPLES = """\
examples:
  scripts/harden audit .                                    what will break, and where
  scripts/harden audit . --format html --output audit.html  a page to send around
  scripts/harden audit . --diff-base origin/main            only what this branch adds
  scripts/harden audit . --baseline audit.json              only what is not known yet
  scripts/harden audit --explain n-plus-one                 why, and what to do
"""

def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = (
        "scripts/harden audit [PATH] [--format FORMAT] [--output FILE] [--select RULES] [--ignore RULES] ..."
    )
    parser.epilog = (
        "RULE is a slug (n-plus-one), an ID (H201) or the beginning of IDs (H2); several with commas.\n"
        "exit codes: 0 nothing at or above --fail-on; 1 findings; 2 wrong usage, or files that do not parse.\n\n"
        + EXAMPLES
    )
    parser.add_argument("path", metavar="PATH", nargs="?", type=Path, default=Path(), help="folder or .py file")
    add_output(parser)
    parser.add_argument(
        "--exclude", metavar="GLOB", action="append", default=[], help="leave paths out; repeatable"
    )
    add_gate(parser)
    parser.add_argument("--diff-base", metavar="REV", help="only what came since this git revision")
    add_help(parser)


def run(options: argparse.Namespace) -> int:
    """Audit; returns the exit code."""
    if explained(options, RULES):
        return 0
    started = time.monotonic()
    rules = _rules(options)
    known_before = baseline.read(options.baseline) if options.baseline else None
    result = _sure(_audited(options, options.path, rules), options)
    if options.write_baseline:
        baseline.write(result, options.write_baseline)
        say(f"{numbered(len(result.findings), 'finding')} in {options.write_baseline}")
        return 0
    notes = []
    if options.diff_base is not None:
        result, note = _since(options, result, rules)
        notes.append(note)
    if known_before is not None:
        left = baseline.compared(result, known_before)
        notes.append(f"{numbered(len(result.findings) - len(left.new), 'finding')} of the baseline not shown")
        if left.gone and options.diff_base is None:
            notes.append(
                f"{numbered(left.gone, 'entry', 'entries')} of the baseline fixed; --write-baseline again"
            )
        result = result.only(left.new)
    report = Report(_name(options.path), result, result.findings, rules, tuple(notes))
    write(report, options)
    read = f"{numbered(result.files, 'file')}, {numbered(result.lines, 'line')}"
    say(f"read {read} in {time.monotonic() - started:.1f} s")
    return _code(result, options)


def _rules(options: argparse.Namespace) -> tuple[Rule, ...]:
    """Return the rules that look; what cannot be read is told whatever is selected."""
    rules = chosen(RULES, options.select, options.ignore)
    is_told = not any(broken_file.RULE in known(word, RULES) for word in options.ignore)
    return tuple(rule for rule in RULES if rule in rules or (is_told and rule is broken_file.RULE))


def _audited(options: argparse.Namespace, path: Path, rules: tuple[Rule, ...]) -> Result:
    """Audit what the user named.

    Raises:
        CommandError: There is nothing in it that the audit knows.
    """
    if not path.exists():
        raise CommandError(f"there is no {path}; give a folder or a .py file")
    if not path.is_dir() and not (path.is_file() and path.suffix == ".py"):
        raise CommandError(f"{path} is no folder and no .py file")
    result = _looked(options, path, rules)
    if not result.files:
        raise CommandError(f"there is no Python file in {path} (tests, hidden folders and packages are left out)")
    if not result.is_web and not result.findings:
        text = f"nothing in {path} imports flask or psycopg2, which the audit is about"
        if path.is_dir():
            raise CommandError(f"{text}; give the application's folder")
        say(text)
    return result


def _looked(options: argparse.Namespace, path: Path, rules: tuple[Rule, ...]) -> Result:
    progress = Progress()
    bar = progress.bar if sys.stderr.isatty() else None
    try:
        return audit(path, rules, (lambda what, done, total: bar(done, total, what)) if bar else None,
                     options.exclude, RULES)  # fmt: skip
    except OSError as error:
        raise CommandError(f"cannot read {error.filename or path}: {error.strerror}") from None
    finally:
        progress.clear()


def _since(options: argparse.Namespace, result: Result, rules: tuple[Rule, ...]) -> tuple[Result, str]:
    """Return what is new since a revision, and a note about it."""
    with at_revision(options.path, options.diff_base) as base:
        if not base.exists():
            return result, f"{options.path} is new since {options.diff_base}"
        before = _sure(_looked(options, base, rules), options)
        left = baseline.compared(result, baseline.counted(before))
    gone = f", {left.gone} fewer" if left.gone else ""
    note = f"since {options.diff_base}: {numbered(len(left.new), 'new finding')}{gone}; the others are not shown"
    return result.only(left.new), note


def _sure(result: Result, options: argparse.Namespace) -> Result:
    return result.only(sure(result.findings, options))


def _code(result: Result, options: argparse.Namespace) -> int:
    if any(_is_broken(each) for each in result.findings):
        return 2
    return code(result.findings, options)


def _is_broken(finding: Finding) -> bool:
    return finding.rule == broken_file.RULE.id


def _name(path: Path) -> str:
    return path.resolve().name or str(path)
