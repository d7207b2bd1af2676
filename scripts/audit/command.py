"""`harden audit PATH`: reads Flask + psycopg2 code and says what will break in production, and where.

Nothing that is read is executed. A file that cannot be read or parsed is a finding (H901) and exit code 2, unless
it is ignored, excluded or in the baseline.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ..atomic import write_atomically
from ..errors import CommandError
from ..progress import Progress
from . import baseline
from .changed import at_revision
from .finding import Confidence, Finding, Severity
from .report import document, github, junit, rule_pages, sarif, text
from .report.report import Report, numbered
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
NEVER = "never"


def _page(report: Report) -> str:
    from .report import page  # jinja2 is needed for this format only

    return page.render(report)


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text.render,
    "json": document.render,
    "sarif": sarif.render,
    "github": github.render,
    "junit": junit.render,
    "html": _page,
}


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
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write there instead of stdout")
    parser.add_argument("--select", metavar="RULES", type=_words, action="extend", default=[], help="only these")
    parser.add_argument("--ignore", metavar="RULES", type=_words, action="extend", default=[], help="not these")
    parser.add_argument(
        "--exclude", metavar="GLOB", action="append", default=[], help="leave paths out; repeatable"
    )
    parser.add_argument("--min-confidence", choices=Confidence.__members__, default="low", help="default: low")
    parser.add_argument("--fail-on", choices=[*Severity.__members__, NEVER], default="low",
                        help="exit 1 from this severity (default: low)")  # fmt: skip
    parser.add_argument("--baseline", metavar="FILE", type=Path, help="leave out what this file knows")
    parser.add_argument("--write-baseline", metavar="FILE", type=Path, help="know today's findings from now on")
    parser.add_argument("--diff-base", metavar="REV", help="only what came since this git revision")
    parser.add_argument("--explain", metavar="RULE", help="all about a rule")
    parser.add_argument("--list-rules", action="store_true", help="the rules, one a line")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def run(options: argparse.Namespace) -> int:
    """Audit; returns the exit code."""
    if options.list_rules:
        print(rule_pages.listed(RULES), end="")
        return 0
    if options.explain is not None:
        print("\n".join(rule_pages.explained(rule) for rule in known(options.explain, RULES)), end="")
        return 0
    started = time.monotonic()
    rules = _rules(options)
    known_before = baseline.read(options.baseline) if options.baseline else None
    result = _sure(_audited(options, options.path, rules), options)
    if options.write_baseline:
        baseline.write(result, options.write_baseline)
        _say(f"{numbered(len(result.findings), 'finding')} in {options.write_baseline}")
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
    _write(report, options)
    read = f"{numbered(result.files, 'file')}, {numbered(result.lines, 'line')}"
    _say(f"read {read} in {time.monotonic() - started:.1f} s")
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
        _say(text)
    return result


def _looked(options: argparse.Namespace, path: Path, rules: tuple[Rule, ...]) -> Result:
    progress = Progress()
    say = progress.bar if sys.stderr.isatty() else None
    try:
        return audit(path, rules, (lambda what, done, total: say(done, total, what)) if say else None,
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
    """Return the findings that are sure enough."""
    least = Confidence[options.min_confidence]
    return result.only(each for each in result.findings if each.confidence >= least)


def _write(report: Report, options: argparse.Namespace) -> None:
    has_colours = options.format == "text" and options.output is None and sys.stdout.isatty()
    if has_colours and "NO_COLOR" not in os.environ:
        shown = text.render(report, text.coloured)
    else:
        shown = FORMATS[options.format](report)
    # File names may hold bytes that are no UTF-8.
    shown = shown.encode("utf-8", "backslashreplace").decode()
    if options.output is None:
        sys.stdout.write(shown)
        return
    try:
        write_atomically(options.output, shown)
    except OSError as error:
        raise CommandError(str(error)) from None
    _say(f"{numbered(len(report.shown), 'finding')}, readiness {report.score} of 100; see {options.output}")


def _code(result: Result, options: argparse.Namespace) -> int:
    if any(_is_broken(each) for each in result.findings):
        return 2
    if options.fail_on == NEVER:
        return 0
    return int(any(each.severity >= Severity[options.fail_on] for each in result.findings))


def _is_broken(finding: Finding) -> bool:
    return finding.rule == broken_file.RULE.id


def _name(path: Path) -> str:
    return path.resolve().name or str(path)


def _say(line: str) -> None:
    print(f"harden: {line}", file=sys.stderr)
