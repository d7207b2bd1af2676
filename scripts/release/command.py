"""`harden release [PATH]`: builds a release on this host and lets it serve once it has passed the gate."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.host.release import GATE_SECONDS, Order, release
from deploy.host.steps import Steps

from ..arguments import seconds_for
from ..host_outcome import say, told

EXAMPLES = """\
examples:
  scripts/harden release                           the repository in this folder, at HEAD
  scripts/harden release ~/shop --rev v1.4         one of its tags, branches or commits
  scripts/harden release --wheels ./wheels         packages from a folder, without a network
  scripts/harden release --ssh deploy@web1         from here, on another host
  scripts/harden release --dry-run                 every step, and nothing is changed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden release [PATH] [--rev REV] [--wheels DIR] [--dry-run] [...]"
    parser.epilog = (
        "Runs on the host, as root. exit codes: 0 it serves; 1 it failed and all has been put\n"
        f"back; 2 wrong usage, or something has to be changed first.\n\n{EXAMPLES}"
    )
    parser.add_argument("path", metavar="PATH", nargs="?", type=Path, default=Path(),
                        help="the app's repository or folder (default: this one)")  # fmt: skip
    parser.add_argument("--rev", default="", help="of a repository, what to release (default: HEAD)")
    parser.add_argument("--config", metavar="FILE", type=Path, help="(default: the harden.toml in PATH)")
    parser.add_argument("--wheels", metavar="DIR", type=Path, help="all packages from here, none from an index")
    migration = parser.add_mutually_exclusive_group()
    migration.add_argument("--migrate", metavar="CMD", help="instead of app.migrate")
    migration.add_argument("--no-migrate", action="store_true", help="run none")
    add_gate_arguments(parser)


def add_gate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a release and a rollback have in common."""
    parser.add_argument("--gate-seconds", metavar="SECONDS", default=GATE_SECONDS,
                        type=seconds_for("the gate", 1, 3600),
                        help="in which app.health must answer 200 (default: %(default)g)")  # fmt: skip
    parser.add_argument("--message", default="", help="for the audit log")
    parser.add_argument("--dry-run", action="store_true", help="say every step, change nothing")


def run(options: argparse.Namespace) -> int:
    """Release; returns the exit code."""
    order = Order(
        options.path, options.rev, options.config, options.wheels,
        "" if options.no_migrate else options.migrate, options.gate_seconds, options.message,
    )  # fmt: skip

    def act() -> int:
        made = release(order, Steps(say, options.dry_run), say)
        print(f"{made} would serve" if options.dry_run else f"{made} serves", flush=True)
        return 0

    return told(act)
