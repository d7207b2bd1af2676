"""`harden uninstall NAME`: stops an app and takes its configuration off this host; its data stay unless told."""

from __future__ import annotations

import argparse

from deploy.host.removing import Removal, named, remove
from deploy.host.steps import Steps

from ..host_outcome import say, told

EXAMPLES = """\
examples:
  sudo scripts/harden uninstall shop --dry-run     every step, and nothing is changed
  sudo scripts/harden uninstall shop               secrets, releases and database stay
  sudo scripts/harden uninstall shop --purge       the database alone stays
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden uninstall NAME|FILE [--purge] [--dry-run] [...]"
    parser.epilog = (
        "Runs on the host, as root. Packages stay, and so does what other apps of this kit use.\n"
        f"exit codes: 0 it is gone; 2 wrong usage, or something has to be changed first.\n\n{EXAMPLES}"
    )
    parser.add_argument("name", metavar="NAME", help="the app's name, or its harden.toml")
    parser.add_argument("--purge", action="store_true",
                        help="remove secrets, releases, the app's own files and its users as well")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say every step, change nothing")


def run(options: argparse.Namespace) -> int:
    """Uninstall; returns the exit code."""

    def act() -> int:
        steps = Steps(say, options.dry_run)
        removal = Removal(named(options.name), options.purge)
        for line in remove(removal, steps, say):
            print(line, flush=True)
        return 0

    return told(act)
