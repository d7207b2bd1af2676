"""`harden migrate undo`: takes back what was run last; what stood there before our run stays."""

from __future__ import annotations

import argparse
import time

from ..arguments import number_of
from ..errors import CommandError
from .folder import Migration, migrations
from .journal import Entry, Journal
from .place import refuse_strange
from .runner import Runner, seconds_since
from .session import add_place, add_tries, running

SUMMARY = "take back the last one, or several, as safely as they were made"
EXAMPLES = """\
examples:
  scripts/harden migrate undo --dsn "$DATABASE_URL"
  scripts/harden migrate undo migrations --last 3
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.epilog = EXAMPLES
    add_place(parser)
    parser.add_argument("--last", metavar="N", type=number_of("migrations", 1, 9999), default=1,
                        help="how many (default: 1)")  # fmt: skip
    add_tries(parser)


def run(options: argparse.Namespace) -> int:
    """Take back; returns the exit code."""
    known = {each.name: each for each in migrations(options.folder)}
    with running(options) as (runner, journal):
        entries = journal.entries()
        chosen = _chosen(known, entries, options.last)
        refuse_strange(runner.conn, [(each, each.down) for each in chosen])
        for each in chosen:
            runner.refuse_taken(each.down)
            print(_undone(runner, journal, each, entries[each.name]), flush=True)
    print(f"{len(chosen)} undone")
    return 0


def _chosen(known: dict[str, Migration], entries: dict[str, Entry], count: int) -> list[Migration]:
    """Return what is to be taken back, the last one first.

    Raises:
        CommandError: its file is gone, or another one than when it was run.
    """
    names = sorted(each.name for each in entries.values() if each.state != "undone")[::-1][:count]
    for name in names:
        if name not in known or known[name].digest != entries[name].digest:
            what = "has changed since it was run" if name in known else "is not in the folder"
            raise CommandError(f"{name}.up.sql {what}; nothing was undone: bring back the file that was run")
    return [known[name] for name in names]


def _undone(runner: Runner, journal: Journal, migration: Migration, entry: Entry) -> str:
    start = time.monotonic()
    if not entry.made:
        journal.finish(migration.name, "undone")
        return f"{migration.name}: stood there before it was run, and stays"
    if migration.down:
        runner.do(migration.name, migration.down)
        runner.checked(migration, ())
    journal.finish(migration.name, "undone")
    how = f"undone in {seconds_since(start)}" if migration.down else "has nothing to take back"
    return f"{migration.name}: {how}"
