"""`harden rollback [ID]`: lets a release that is on this host serve again, by the same gate as a new one."""

from __future__ import annotations

import argparse

from deploy.host.release import app_named, rollback
from deploy.host.steps import Steps

from ..host_outcome import say, told
from ..release.command import add_gate_arguments

EXAMPLES = """\
examples:
  scripts/harden rollback                          to the release before the one that serves
  scripts/harden rollback 20260131T120000Z-4f2a91c0
  scripts/harden rollback --dry-run                every step, and nothing is changed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden rollback [ID] [--app NAME] [--gate-seconds SECONDS] [--dry-run]"
    parser.epilog = (
        "Runs on the host, as root; harden status lists releases. Configuration comes back with\n"
        "the release, the database's schema does not.\n"
        "exit codes: 0 it serves; 1 it failed and all has been put back; 2 wrong usage, or no\n"
        f"such release.\n\n{EXAMPLES}"
    )
    parser.add_argument("release", metavar="ID", nargs="?", default="",
                        help="which one; its beginning will do (default: the one before)")  # fmt: skip
    parser.add_argument("--app", metavar="NAME", default="", help="where the host has several")
    add_gate_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Roll back; returns the exit code."""

    def act() -> int:
        steps = Steps(say, options.dry_run)
        name = app_named(options.app)
        made = rollback(name, options.release, options.gate_seconds, options.message, steps, say)
        print(f"{made} would serve" if options.dry_run else f"{made} serves", flush=True)
        return 0

    return told(act)
