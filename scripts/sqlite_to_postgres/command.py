"""`harden sqlite-to-postgres FILE`: looks at every value first, then copies, proves the copy equal, and
commits.

Exit codes: 0 done and equal; 1 something stops it or differs, nothing committed; 2 usage, or unreadable.
"""

from __future__ import annotations

import argparse
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from ..arguments import number_of
from ..database import add_dsn, chosen_dsn, open_database, shown_dsn
from ..errors import CommandError
from ..progress import Progress
from .ddl import extras
from .importing import Import, Outcome, verify
from .kinds import KINDS, kind_of
from .plan import Plan, Wishes, make_plan
from .report import as_ddl, as_json, as_text
from .source import Source
from .undo import roll_back

NAME = "harden sqlite-to-postgres"
EXAMPLES = """\
examples:
  scripts/harden sqlite-to-postgres app.db --dry-run
  scripts/harden sqlite-to-postgres app.db --dsn "$DATABASE_URL"
  scripts/harden sqlite-to-postgres app.db --rollback
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file, the target, and what to do where the two differ."""
    parser.usage, parser.epilog = "scripts/harden sqlite-to-postgres FILE [options]", EXAMPLES
    parser.add_argument("file", type=Path, metavar="FILE", help="SQLite's; only read")
    add_dsn(parser)
    _add_doing(parser)
    _add_wishes(parser)


def _add_doing(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--dry-run", action="store_true", help="print the DDL and what was found; no database needed"
    )
    what.add_argument("--resume", action="store_true", help="commit table by table; go on where a run was cut off")
    what.add_argument("--verify-only", action="store_true", help="compare an import with the file again")
    what.add_argument("--rollback", action="store_true", help="drop what the import made, if nobody wrote since")
    parser.add_argument("--force", action="store_true", help="with --rollback: even if somebody wrote")
    parser.add_argument("--allow-missing", action="store_true", help="go on without what cannot be translated")
    parser.add_argument("--thorough", action="store_true", help="integrity_check instead of quick_check")
    parser.add_argument("--batch", type=number_of("batch", 1, 100_000), default=1000, metavar="ROWS",
                        help="read at once (default: 1000)")  # fmt: skip
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--schema", default="public", metavar="NAME", help="(default: public)")
    parser.add_argument("--tables", default="", metavar="A,B", help="these alone")
    parser.add_argument("--exclude", default="", metavar="A,B", help="without these")
    parser.add_argument(
        "--type", action="append", default=[], metavar="T.C=TYPE", help="a column's type; repeatable"
    )
    parser.add_argument(
        "--on-mismatch", choices=("stop", "text"), default="stop", help="mixed values (default: stop)"
    )
    parser.add_argument(
        "--orphans", choices=("stop", "keep"), default="stop", help="keep: NOT VALID (default: stop)"
    )
    parser.add_argument("--nocase", choices=("citext", "lower"), default="citext", help="(default: citext)")
    parser.add_argument("--names", choices=("fold", "keep"), default="fold", help="their case (default: fold)")


def run(options: argparse.Namespace) -> int:
    """Do what was asked for."""
    wishes = _wishes(options)
    if options.rollback:
        dsn = chosen_dsn(options)
        with closing(open_database(dsn, NAME)) as conn:
            dropped = roll_back(conn, wishes.schema, options.force)
        print(f"dropped {len(dropped)} tables of schema {wishes.schema}: {', '.join(dropped)}")
        return 0
    dsn = "" if options.dry_run else chosen_dsn(options)
    with closing(Source(options.file)) as source:
        plan = _planned(source, wishes, options.thorough)
        if options.verify_only:
            return _verify(source, plan, dsn)
        return _import(options, source, plan, dsn)


def _wishes(options: argparse.Namespace) -> Wishes:
    return Wishes(
        options.schema, _names(options.tables), _names(options.exclude), tuple(map(_type, options.type)),
        options.on_mismatch, options.orphans, options.nocase, options.names,
    )  # fmt: skip


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def _type(text: str) -> tuple[str, str, str]:
    where, _, kind = text.partition("=")
    table, _, column = where.lower().partition(".")
    try:
        kind_of(kind.lower())
    except KeyError:
        known = ", ".join(name for name in KINDS if "any " not in name)
        raise CommandError(
            f"--type {text}: {kind or 'nothing'} is none of {known}, varchar(n), numeric(p,s)"
        ) from None
    return table, column, kind.lower()


def _planned(source: Source, wishes: Wishes, thorough: bool) -> Plan:
    progress = Progress()
    progress(f"looking at {source.path.name} ({source.size / 1e6:,.1f} MB), every value")
    damage = source.damage(thorough)
    try:
        plan = make_plan(source, wishes, lambda done, total, name: progress.bar(done, total, f"look {name}"))
    except sqlite3.DatabaseError as error:
        raise CommandError(
            f"the schema of {source.path} cannot be read: {error}; try: sqlite3 FILE .recover"
            " (docs/sqlite.md, A damaged file)"
        ) from None
    finally:
        progress.clear()
    if damage:
        whole = ", ".join(table.source.name for table in plan.tables) or "none"
        plan.problems.insert(0, f"the file is damaged: {damage[0]} ({len(damage)} findings); readable "
                                f"to their end: "
                                f"{whole}; try: sqlite3 FILE .recover (docs/sqlite.md,"
                                " A damaged file)")  # fmt: skip
    return plan


def _import(options: argparse.Namespace, source: Source, plan: Plan, dsn: str) -> int:
    missing = [*plan.lost, *(f"{extra.what}: {extra.reason}" for extra in extras(plan) if extra.reason)]
    stopped = bool(plan.problems or (missing and not options.allow_missing))
    started = time.monotonic()
    outcome: Outcome | None = None
    if not options.dry_run and not stopped:
        Progress()(_amount(source, plan))
        with closing(open_database(dsn, NAME)) as conn:
            outcome = Import(source, plan, conn, options.resume, options.allow_missing, options.batch).run()
        missing = [*plan.lost, *outcome.refused]
    _print(options, plan, outcome, missing)
    return _end(options, plan, outcome, missing, time.monotonic() - started, dsn)


def _amount(source: Source, plan: Plan) -> str:
    """Say before the first row what the server is in for."""
    size = f"{source.size / 1e6:,.1f} MB"
    return (
        f"{plan.rows:,} rows in {len(plan.tables)} tables: about {size} in PostgreSQL, and as much WAL until its"
        " next checkpoints; the bar says how long it takes"
    )


def _print(options: argparse.Namespace, plan: Plan, outcome: Outcome | None, missing: list[str]) -> None:
    if options.dry_run and options.format == "text":
        print(as_ddl(plan), end="\n\n")
    print((as_json if options.format == "json" else as_text)(plan, outcome, missing))


def _end(
    options: argparse.Namespace, plan: Plan, outcome: Outcome | None, missing: list[str], took: float, dsn: str
) -> int:
    progress = Progress()
    if outcome and outcome.committed:
        progress(
            f"{plan.rows:,} rows in {len(plan.tables)} tables are in {shown_dsn(dsn)}, equal, in {took:.1f} s"
        )
        return 0
    if plan.problems or (missing and not options.allow_missing):
        kept = "whole tables are kept for --resume" if outcome and options.resume else "nothing was written"
        progress(f"{len(plan.problems)} problems, {len(missing)} things PostgreSQL would lack; {kept}; "
                 f"mend them, or "
                 "give --allow-missing for the latter")  # fmt: skip
        return 1
    return 0


def _verify(source: Source, plan: Plan, dsn: str) -> int:
    with closing(open_database(dsn, NAME)) as conn:
        differences = verify(source, plan, conn)
    print("\n".join(differences) if differences else f"equal: {plan.rows:,} rows in {len(plan.tables)} tables")
    return 1 if differences else 0
