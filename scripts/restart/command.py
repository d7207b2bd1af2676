"""`harden restart`: the app, PgBouncer or PostgreSQL anew, without a lost request."""

from __future__ import annotations

import argparse

from deploy.host import configuring, neighbours, slots
from deploy.host.places import Places
from deploy.host.release import chosen, require_root
from deploy.host.restart import WHAT, Wanted, restart
from deploy.host.steps import Steps

from ..arguments import seconds_for
from ..errors import CommandError
from ..host_outcome import say, told

EXAMPLES = """\
examples:
  scripts/harden restart app                       after a change of secrets.env
  scripts/harden restart pgbouncer                 after an update of its package
  scripts/harden restart postgresql                a minor update, or settings that need it
  scripts/harden restart postgresql --pause        on each app host, when PostgreSQL is elsewhere ...
  scripts/harden restart postgresql --resume       ... and when it is back
"""
ALONE = (("pause", "let queries of this host wait, and nothing else"), ("resume", "end that"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = f"scripts/harden restart {'|'.join(WHAT)} [--app NAME] [--seconds N] [--cut] [--dry-run]"
    parser.epilog = (
        "Runs on the host, as root. exit codes: 0 done; 1 something did not finish in time or did\n"
        "not start, and all serves as before; 2 wrong usage, or what a person must change.\n\n"
        f"{EXAMPLES}"
    )
    parser.add_argument("what", choices=WHAT, metavar="WHAT", help=", ".join(WHAT))
    parser.add_argument("--app", metavar="NAME", default="", help="where the host has several")
    parser.add_argument("--seconds", type=seconds_for("what has to finish", 1, 3600), metavar="N",
                        help="for old requests or transactions to finish (default: by the app's timeouts; "
                        "20 for postgresql)")  # fmt: skip
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--cut", dest="how", action="store_const", const="cut", default="",
                     help="wait for nobody: requests that run may fail")  # fmt: skip
    for word, text in ALONE:
        how.add_argument(f"--{word}", dest="how", action="store_const", const=word, help=f"postgresql: {text}")
    parser.add_argument("--dry-run", action="store_true", help="say every step, change nothing")


def run(options: argparse.Namespace) -> int:
    """Restart it; returns the exit code."""
    if options.how in dict(ALONE) and options.what != "postgresql":
        raise CommandError(f"--{options.how} is for postgresql alone; leave it out")

    def act() -> int:
        require_root()
        there = {*slots.installed(), *neighbours.names()}  # the database's host has no releases
        places = Places(chosen(options.app, sorted(there)))
        description = configuring.description_of(places)
        wanted = Wanted(options.what, options.how, options.seconds)
        restart(places, description, wanted, Steps(say, options.dry_run), say)
        return 0

    return told(act)
