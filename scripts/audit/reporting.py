"""The options and the output that `harden audit` and `harden doctor` have in common."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..atomic import write_atomically
from ..errors import CommandError
from .finding import Confidence, Finding, Severity
from .report import document, github, junit, rule_pages, sarif, text
from .report.report import Report, numbered
from .rule import Rule
from .selection import known

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


def add_output(parser: argparse.ArgumentParser) -> None:
    """Declare what is shown, and where."""
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write there instead of stdout")
    parser.add_argument("--select", metavar="RULES", type=_words, action="extend", default=[], help="only these")
    parser.add_argument("--ignore", metavar="RULES", type=_words, action="extend", default=[], help="not these")


def add_gate(parser: argparse.ArgumentParser) -> None:
    """Declare what counts."""
    parser.add_argument("--min-confidence", choices=Confidence.__members__, default="low", help="default: low")
    parser.add_argument("--fail-on", choices=[*Severity.__members__, NEVER], default="low",
                        help="exit 1 from this severity (default: low)")  # fmt: skip
    parser.add_argument("--baseline", metavar="FILE", type=Path, help="leave out what this file knows")
    parser.add_argument("--write-baseline", metavar="FILE", type=Path, help="know today's findings from now on")


def add_help(parser: argparse.ArgumentParser) -> None:
    """Declare what explains the rules."""
    parser.add_argument("--explain", metavar="RULE", help="all about a rule")
    parser.add_argument("--list-rules", action="store_true", help="the rules, one a line")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def explained(options: argparse.Namespace, rules: Sequence[Rule]) -> bool:
    """Print what `--list-rules` or `--explain` ask for; returns whether they did."""
    if options.list_rules:
        print(rule_pages.listed(rules), end="")
    elif options.explain is not None:
        print("\n".join(rule_pages.explained(rule) for rule in known(options.explain, rules)), end="")
    return options.list_rules or options.explain is not None


def sure(findings: Iterable[Finding], options: argparse.Namespace) -> list[Finding]:
    """Return the findings that are sure enough."""
    least = Confidence[options.min_confidence]
    return [each for each in findings if each.confidence >= least]


def write(report: Report, options: argparse.Namespace) -> None:
    """Print the report, or write it where `--output` says.

    Raises:
        CommandError: the file cannot be written.
    """
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
    say(f"{numbered(len(report.shown), 'finding')}, readiness {report.score} of 100; see {options.output}")


def code(findings: Iterable[Finding], options: argparse.Namespace) -> int:
    """Return 1 when a finding is as bad as `--fail-on`, else 0."""
    if options.fail_on == NEVER:
        return 0
    return int(any(each.severity >= Severity[options.fail_on] for each in findings))


def say(line: str) -> None:
    """Say something beside the report."""
    print(f"harden: {line}", file=sys.stderr)
