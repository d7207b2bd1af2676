"""`harden logs [NAME]`: the journal of an app and of what it stands on, by systemd's own journalctl."""

from __future__ import annotations

import argparse
import os
import re

from deploy.host.errors import HostError
from deploy.host.release import app_named

from ..host_outcome import told

EXAMPLES = """\
examples:
  scripts/harden logs                              the last 100 lines of the app and its PgBouncer
  scripts/harden logs -f --unit app                as they come
  scripts/harden logs --since '1 hour ago' --unit postgresql
  scripts/harden logs --request 4f2a91c07d3e       one request, through nginx' log and the app's
"""
UNITS = {
    "app": ("{name}@*.service", "{name}-candidate@*.service", "{name}.service"),
    "pgbouncer": ("{name}-pgbouncer@*.service",),
    "nginx": ("nginx.service",),
    "postgresql": ("postgresql@*.service", "postgresql.service"),
}
DEFAULT = ("app", "pgbouncer")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
LINES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden logs [NAME] [-f] [--since TIME] [--unit UNIT] [--request ID] [--json]"
    parser.epilog = f"Root, and members of systemd-journal, see all of it.\n\n{EXAMPLES}"
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="where the host has several apps")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("--since", metavar="TIME", default="", help="as journalctl takes it: 09:00, '2 hours ago'")
    parser.add_argument("--unit", action="append", choices=UNITS, default=[],
                        help="only this, and as often as you like: app, pgbouncer, nginx, postgresql")  # fmt: skip
    parser.add_argument("--request", metavar="ID", default="", help="only lines with this X-Request-ID")
    parser.add_argument("--lines", metavar="N", type=int, default=LINES,
                        help="how many at most without --since and --request (default: %(default)s)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="with all of the journal's fields")


def run(options: argparse.Namespace) -> int:
    """Become journalctl; returns an exit code only when that cannot be."""

    def act() -> int:
        command = command_for(app_named(options.name), options)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            raise HostError(f"journalctl cannot be run: {error.strerror}") from None

    return told(act)


def command_for(name: str, options: argparse.Namespace) -> list[str]:
    """Return journalctl's command line.

    Raises:
        HostError: the request's id is none.
    """
    words = ["journalctl", "--no-pager", f"--output={'json' if options.json else 'short-iso'}"]
    if options.follow:
        words.append("--follow")
    if options.since:
        words.append(f"--since={options.since}")
    if options.request:
        if not REQUEST_ID.fullmatch(options.request):
            raise HostError(f"{options.request[:60]!r} is no request's id; it is letters, digits, dots and dashes")
        words.append(f"--grep={re.escape(options.request)}")
        words.append("--case-sensitive=yes")
    elif not options.since:
        words.append(f"--lines={options.lines}")
    # A request is looked for in the front as well, which has the first line of it.
    wanted = options.unit or (("nginx", *DEFAULT) if options.request else DEFAULT)
    return words + [f"--unit={unit.format(name=name)}" for each in wanted for unit in UNITS[each]]
