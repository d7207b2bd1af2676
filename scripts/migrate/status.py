"""`harden migrate status`: what was run, what stands, and whether it is used; changes nothing."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2.extensions import connection

from ..database import chosen_dsn, first_line, open_database
from ..errors import CommandError
from . import catalog, space
from .folder import Migration, migrations
from .journal import Entry, Journal
from .place import NAME
from .session import add_place

SUMMARY = "show what is done, what stands, and how often an index was used since"
EXAMPLES = """\
examples:
  scripts/harden migrate status --dsn "$DATABASE_URL"
  scripts/harden migrate status migrations --format json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.epilog = "exit codes: 0 all is done and stands; 1 something does not.\n\n" + EXAMPLES
    add_place(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")


def run(options: argparse.Namespace) -> int:
    """Show; returns the exit code."""
    wanted, dsn = migrations(options.folder), chosen_dsn(options)
    try:
        with closing(open_database(dsn, NAME)) as conn:
            conn.set_session(readonly=True)
            with conn.cursor() as cursor:  # LOCAL: behind a pooler, the session is somebody else's next
                cursor.execute("SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '1s'")
            entries = Journal(conn, options.journal).entries()
            shown = [_shown(conn, each, entries.get(each.name)) for each in wanted]
    except psycopg2.Error as error:
        raise CommandError(first_line(error, dsn)) from None
    print(json.dumps({"migrations": shown}, indent=2) if options.format == "json" else _table(shown))
    return 0 if all(each["state"] == "done" for each in shown) else 1


def _shown(conn: connection, migration: Migration, entry: Entry | None) -> dict[str, Any]:
    state = entry.state if entry else "pending"
    if entry and entry.state == "done" and entry.digest != migration.digest:
        state = "changed since it was run"
    found: dict[str, Any] = {"name": migration.name, "state": state, "made": entry.made if entry else None,
                             "index": None, "size_bytes": None, "scans": None}  # fmt: skip
    for each in migration.up:
        if each.kind in ("create index", "rebuild index"):
            there = catalog.standing(conn, each.schema, each.name)
            found["index"] = each.full
            if there is not None:
                found |= {"size_bytes": there.size, "scans": there.scans}
            if state == "done" and (there is None or not there.is_valid):
                found["state"] = "invalid" if there else "gone"
    return found


def _table(shown: list[dict[str, Any]]) -> str:
    rows = [("migration", "state", "size", "scans")]
    for each in shown:
        size = space.shown(each["size_bytes"]) if each["size_bytes"] is not None else "-"
        rows.append((each["name"], each["state"], size, "-" if each["scans"] is None else f"{each['scans']:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(
            (row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]), row[3].rjust(widths[3]))
        )
        for row in rows
    )
