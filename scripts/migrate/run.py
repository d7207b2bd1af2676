"""`harden migrate run`: a folder's migrations, one after the other, while the app goes on reading and writing."""

from __future__ import annotations

import argparse
import time

from ..errors import CommandError
from .folder import Migration, migrations
from .journal import Entry, Journal
from .place import refuse_strange
from .runner import Runner, seconds_since
from .session import add_place, add_tries, running

SUMMARY = "run them one after the other, outside a transaction; run again, it goes on"
EXAMPLES = """\
examples:
  scripts/harden migrate run --dsn "$DATABASE_URL"
  scripts/harden migrate run migrations --tries 30
  scripts/harden migrate run --journal app
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.epilog = EXAMPLES
    add_place(parser)
    add_tries(parser)


def run(options: argparse.Namespace) -> int:
    """Run what is not done; returns the exit code."""
    wanted = migrations(options.folder)
    with running(options) as (runner, journal):
        left = _left(wanted, journal.entries())
        refuse_strange(runner.conn, [(each, each.up) for each in left])
        for each in left:
            runner.refuse_taken(each.up)
        foreseen = {each.name: runner.foreseen(each.up) for each in left}
        if left:
            journal.make()
        for each in left:
            for said in foreseen[each.name]:
                runner.watch.progress(f"{each.name}: {said}")
            print(_done(runner, journal, each), flush=True)
    print(f"{len(left)} run, {len(wanted) - len(left)} done before")
    return 0


def _left(wanted: list[Migration], entries: dict[str, Entry]) -> list[Migration]:
    """Return what is not done.

    Raises:
        CommandError: a file is another one than when it was run.
    """
    for each in wanted:
        entry = entries.get(each.name)
        if entry and entry.state == "done" and entry.digest != each.digest:
            raise CommandError(f"{each.name}.up.sql has changed since it was run; nothing was done: undo it "
                               "with the old file first, or give the new statements a new number")  # fmt: skip
    return [each for each in wanted if each.name not in entries or entries[each.name].state != "done"]


def _done(runner: Runner, journal: Journal, migration: Migration) -> str:
    """Run one, and return the line on it."""
    start = time.monotonic()
    was_there = runner.is_in_place(migration.up) is True
    journal.start(migration.name, migration.digest, not was_there)
    if not was_there:
        runner.do(migration.name, migration.up)
    said = runner.checked(migration, migration.up)
    journal.finish(migration.name, "done")
    how = "stood there before" if was_there else f"done in {seconds_since(start)}"
    return "\n  ".join([f"{migration.name}: {how}", *said])
