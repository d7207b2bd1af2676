"""`harden install [FILE]`: packages, users, PostgreSQL, PgBouncer and nginx, up to the first release."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.host.installing import Wish, install
from deploy.host.preflight import KINDS
from deploy.host.steps import Steps

from ..host_outcome import say, told

EXAMPLES = """\
examples:
  sudo scripts/harden install --dry-run                    every step, and nothing is changed
  sudo scripts/harden install                              one host with everything
  sudo scripts/harden install --as database                PostgreSQL on a host of its own
  sudo scripts/harden install --secrets shop-secrets.env   the app's host, with what that one has made
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden install [FILE] [--as KIND]... [--secrets FILE] [--dry-run] [...]"
    parser.epilog = (
        "Runs on the host, as root, as often as you like. exit codes: 0 done; 2 wrong usage, or\n"
        f"something has to be changed first.\n\n{EXAMPLES}"
    )
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path, default=Path("harden.toml"),
                        help="a description (default: harden.toml in this folder)")  # fmt: skip
    parser.add_argument("--as", metavar="KIND", dest="kinds", action="append", choices=KINDS, default=[],
                        help=f"what this host is for: {', '.join(KINDS)} (default: the app, and its database "
                        "where that is on this machine)")  # fmt: skip
    parser.add_argument("--secrets", metavar="FILE", type=Path,
                        help="secrets of another host of this app, mode 0600")  # fmt: skip
    parser.add_argument("--restart-postgresql", action="store_true",
                        help="also where it serves other databases")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say every step, change nothing")


def run(options: argparse.Namespace) -> int:
    """Install; returns the exit code."""
    wish = Wish(options.file, tuple(options.kinds), options.secrets, options.restart_postgresql)

    def act() -> int:
        steps = Steps(say, options.dry_run)
        job = install(wish, steps, say)
        if options.dry_run:
            print(f"{steps.count} steps; nothing was changed" if steps.count else "nothing to do", flush=True)
            return 0
        from deploy.host.summary import lines  # needs jinja2, which an install brings

        print("\n".join(lines(job)), flush=True)
        return 0

    return told(act)
