"""`harden migrate WORD`: one word more on the command line, then the word's own options."""

from __future__ import annotations

import argparse

from . import run as running
from . import status, undo, write

WORDS = {"write": write, "run": running, "status": status, "undo": undo}
EXAMPLES = """\
examples:
  scripts/harden migrate write --dsn "$DATABASE_URL"  what the doctor advises, as SQL files
  scripts/harden migrate run migrations               one after the other, outside a transaction
  scripts/harden migrate status migrations            what is done, and whether it is used
  scripts/harden migrate undo migrations --last 2     take back the last two
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare each word and its arguments."""
    parser.epilog = EXAMPLES
    words = parser.add_subparsers(dest="what", metavar="WORD", required=True)
    for name, module in WORDS.items():
        shape = argparse.RawDescriptionHelpFormatter
        own = words.add_parser(name, help=module.SUMMARY, description=module.SUMMARY, formatter_class=shape)
        module.add_arguments(own)


def run(options: argparse.Namespace) -> int:
    """Do what was named."""
    return int(WORDS[options.what].run(options))
