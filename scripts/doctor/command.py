"""`harden doctor`: looks at a live database and says what it lacks, with the proof and the exact fix.

Reads only: each question is a read-only transaction with a timeout of its own. A database that goes away half-way
is told with what was found until then, and exit code 2.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from pathlib import Path

from ..arguments import number_of, seconds_for
from ..audit import baseline
from ..audit.report.report import Report, numbered
from ..audit.reporting import add_gate, add_help, add_output, code, explained, say, sure, write
from ..audit.selection import chosen, known
from ..database import add_dsn, chosen_dsn, open_database
from ..errors import CommandError
from ..progress import Progress
from .advice import LiveRule
from .rules import RULES
from .rules.itself import NOT_CHECKED
from .run import Examination, examined
from .session import Lost, Session
from .target import Options, Target

NAME = "harden doctor"  # as pg_stat_activity shows it
EXAMPLES = """\
examples:
  scripts/harden doctor --dsn "$DATABASE_URL"               what the database lacks
  scripts/harden doctor --code . --config harden.toml       with call sites, and the plan's budget
  scripts/harden doctor --format json --output doctor.json  for scripts/harden migrate write
  scripts/harden doctor --fail-on high --baseline known.json
  scripts/harden doctor --explain H501
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden doctor [--dsn DSN] [--code PATH] [--format FORMAT] [--select RULES] ..."
    parser.epilog = "exit codes: as audit; 2 too when the database goes away.\n\n" + EXAMPLES
    add_database(parser)
    add_output(parser)
    add_gate(parser)
    add_help(parser)


def add_database(parser: argparse.ArgumentParser) -> None:
    """Declare what is looked at, and how; `harden migrate write` has the same."""
    add_dsn(parser)
    parser.add_argument("--code", metavar="PATH", type=Path, help="the app's folder, for its statements' places")
    parser.add_argument("--config", metavar="FILE", type=Path, help="harden.toml, for the plan's connections")
    parser.add_argument("--pgbouncer", metavar="DSN", help="PgBouncer's console (dbname=pgbouncer)")
    parser.add_argument("--prove", choices=("auto", "hypopg", "copy", "off"), default="auto",
                        help="how gains are worked out (default: auto)")  # fmt: skip
    parser.add_argument("--unused-after", metavar="DAYS", type=number_of("days", 0, 3650), default=7,
                        help="of counting (default: 7)")  # fmt: skip
    parser.add_argument("--long", metavar="S", type=seconds_for("a transaction", 0, 86400), default=60.0,
                        help="a long transaction (default: 60)")  # fmt: skip
    parser.add_argument("--slow-ms", metavar="MS", type=number_of("milliseconds", 0, 10**7), default=100,
                        help="a slow statement's mean (default: 100)")  # fmt: skip
    parser.add_argument("--timeout", metavar="S", type=seconds_for("all questions", 1, 86400), default=300.0,
                        help="of all questions (default: 300; 10 each)")  # fmt: skip


STATEMENT_TIMEOUT = 10.0  # seconds of one question


def run(options: argparse.Namespace) -> int:
    """Look; returns the exit code."""
    if explained(options, RULES):
        return 0
    started = time.monotonic()
    before = baseline.read(options.baseline) if options.baseline else None
    rules = _rules(options)
    result, name, notes = looked(options, rules)
    result = result.only(sure(result.findings, options))
    if options.write_baseline and not result.is_lost:
        baseline.write(result, options.write_baseline)
        say(f"{numbered(len(result.findings), 'finding')} in {options.write_baseline}")
        return 0
    if before is not None:
        left = baseline.compared(result, before)
        notes.append(f"{numbered(len(result.findings) - len(left.new), 'finding')} of the baseline not shown")
        result = result.only(left.new)
    write(Report(name, result, result.findings, rules, tuple(notes), NAME), options)
    say(f"looked for {time.monotonic() - started:.1f} s")
    return 2 if result.is_lost else code(result.findings, options)


def _rules(options: argparse.Namespace) -> tuple[LiveRule, ...]:
    """Return the rules that look; what could not be checked is told whatever is selected."""
    rules = chosen(RULES, options.select, options.ignore)
    is_told = not any(NOT_CHECKED in known(word, RULES) for word in options.ignore)
    return tuple(rule for rule in RULES if rule in rules or (is_told and rule is NOT_CHECKED))


def looked(options: argparse.Namespace, rules: tuple[LiveRule, ...]) -> tuple[Examination, str, list[str]]:
    """Open the database and let rules look; return what they found, the database's name, and notes.

    Raises:
        CommandError: there is no connection, or nothing that can be looked at.
    """
    progress = Progress()
    bar = progress.bar if sys.stderr.isatty() else lambda *_: None
    dsn = chosen_dsn(options)
    chosen_options = options_of(options)
    session = Session(open_database(dsn, NAME), STATEMENT_TIMEOUT, time.monotonic() + options.timeout)
    with closing(session):
        target = Target(session, chosen_options, lambda what, done, total: bar(done, total, what))
        try:
            server = target.server
            result = examined(target, rules, RULES)
        except Lost as error:
            raise CommandError(f"the database went away before anything was asked: {error}") from None
        finally:
            progress.clear()
    notes = [f"PostgreSQL {server.version_text}, database {server.database}, as {server.role}", *server.notes]
    return result, server.database, notes


def options_of(options: argparse.Namespace) -> Options:
    """Return what a person chose, with the files that they named read.

    Raises:
        CommandError: one of them cannot be read.
    """
    if options.code is not None and not options.code.exists():
        raise CommandError(f"there is no {options.code}; give the app's folder")
    description = None
    if options.config is not None:
        from deploy.errors import InputError
        from deploy.load_description import load

        try:
            description = load(options.config)
        except (InputError, OSError) as error:
            raise CommandError(str(error)) from None
    return Options(options.code, description, options.pgbouncer, options.prove, float(options.unused_after),
                   options.long, float(options.slow_ms))  # fmt: skip
