"""`harden top [URL]`: a running service, live in a terminal; or once, as text or JSON."""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sys
from pathlib import Path

from ..arguments import seconds_for
from ..errors import CommandError
from .figures import complaints
from .service import Service, token_from

EXAMPLES = """\
examples:
  scripts/harden top                                           the service on this machine
  scripts/harden top https://shop.example.com --token-file ~/.shop-token
  scripts/harden top --once                                    one screen of text, for a mail or a log
  scripts/harden top --format json                             for jq and scripts
"""
DEFAULT = "http://127.0.0.1:8000"
WIDTH = 140  # of plain text where no terminal says another


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.epilog = (
        "exit codes: 0 all is well, or the live view was left; 1 printed once, and a\n"
        "worker is unhealthy; 2 wrong usage, no answer, or a token that is not taken.\n"
        "The token is read from HARDEN_OPS_TOKEN or a file: others see command lines.\n\n"
        f"{EXAMPLES}"
    )
    parser.add_argument("url", metavar="URL", nargs="?", default=DEFAULT,
                        help="where the service answers (default: %(default)s)")  # fmt: skip
    parser.add_argument("--token-file", metavar="FILE", type=Path, help="file with the service's HARDEN_OPS_TOKEN")
    parser.add_argument("--plain-http", action="store_true",
                        help="send the token over plain http to another machine")  # fmt: skip
    parser.add_argument("--interval", metavar="SECONDS", default=2.0,
                        type=seconds_for("between two looks", 0.5, 60),
                        help="seconds between two looks (default: 2)")  # fmt: skip
    parser.add_argument("--once", action="store_true",
                        help="print all views as text; so it does without a terminal")  # fmt: skip
    parser.add_argument("--format", choices=("text", "json"), default="text",
                        help="json prints the service's data once (default: text)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Show the service; returns the exit code."""
    token = token_from(options.token_file, dict(os.environ))
    service = Service(options.url, token, allows_plain=options.plain_http)
    if options.format == "json":
        data = service.ask_once()
        print(json.dumps(data, indent=1))
        return 1 if complaints(data) else 0
    try:
        from rich.console import Console
    except ImportError:
        raise CommandError("harden top needs rich; run: pip install 'rich>=13'") from None
    from .live import watch
    from .screen import plain

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows ASCII alone
    console = Console(highlight=False, markup=False, emoji=False)
    if options.once or not sys.stdout.isatty() or console.is_dumb_terminal:
        data = service.ask_once()
        width = shutil.get_terminal_size((WIDTH, 24)).columns
        console = Console(highlight=False, markup=False, emoji=False, width=max(40, width))
        print(plain(console, data, service.url))
        return 1 if complaints(data) else 0
    return watch(service, service.ask(), console, options.interval)
