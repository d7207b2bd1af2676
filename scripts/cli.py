"""`harden VERB`: parses the command line and hands over; each verb is a module with `add_arguments` and `run`.

Exit codes: 0 clean; 1 findings, differences or a failed gate; 2 usage, or something a person must change.
"""

from __future__ import annotations

import argparse
import configparser
import importlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import NoReturn

from .errors import CommandError

VERBS = {
    "demo": ("scripts.demo.command", "see an unhardened app break and the hardened one carry the load"),
    "audit": ("scripts.audit.command", "find in your code, with line numbers, what will break in production"),
    "fix": ("scripts.fix.command", "rewrite what the audit finds, as a diff first, with reasons for the rest"),
    "adopt": ("scripts.adopt.command", "all of it in one run: a branch that is fixed, verified and explained"),
    "vendor": ("scripts.vendor.command", "copy the runtime into your repository, and upgrade it there"),
    "verify": ("scripts.verify.command", "prove that two versions of your app give the same answers"),
    "doctor": ("scripts.doctor.command", "find in a live database what it lacks, with proof and the exact fix"),
    "migrate": ("scripts.migrate.command", "write and run migrations that are safe on a live database"),
    "sqlite-to-postgres": ("scripts.sqlite_to_postgres.command", "move a SQLite file to PostgreSQL, verified"),
    "up": ("scripts.up.command", "run your own Flask app hardened, without an edit"),
    "init": ("scripts.init.command", "write a harden.toml for your repository"),
    "top": ("scripts.top.command", "watch a running service live in the terminal"),
    "plan": ("scripts.plan.command", "size the whole chain, up to PostgreSQL's max_connections"),
    "render": ("scripts.render.command", "write every file of a host into a folder"),
    "diff": ("scripts.diff.command", "show how this host differs from harden.toml"),
    "check": ("scripts.check.command", "find what is wrong before a release does"),
    "install": ("scripts.install.command", "make a Debian host ready for the app's first release"),
    "uninstall": ("scripts.uninstall.command", "take the app off a host, and leave its data"),
    "release": ("scripts.release.command", "build a release on a host and let it serve, without losing a request"),
    "rollback": ("scripts.rollback.command", "let the release before serve again"),
    "restart": ("scripts.restart.command", "the app, PgBouncer or PostgreSQL anew, without losing a request"),
    "status": ("scripts.status.command", "which release serves on a host, and how it is"),
    "logs": ("scripts.logs.command", "what the app and what it stands on have said"),
    "load": ("scripts.load.command", "people click on it: latencies, what it used, budgets as exit code"),
    "chaos": ("scripts.chaos.command", "break each part while people pay; then check the books"),
    "bench": ("scripts.bench.command", "measure the runtime beside what it replaces"),
}
# They run on the host that they change or look at, and by `--ssh HOST` from here.
ON_HOSTS = ("install", "uninstall", "release", "rollback", "restart", "status", "logs", "check", "diff")
EXAMPLES = """\
examples:
  scripts/harden demo --quick              the proof, in under a minute
  scripts/harden up path/to/app.py:app     your own app, hardened
  scripts/harden up --help                 all of one verb
"""


class Parser(argparse.ArgumentParser):
    """Reports usage errors as one line."""

    def error(self, message: str) -> NoReturn:
        print(f"harden: error: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def main(arguments: list[str]) -> int:
    """Run one verb; returns the exit code."""
    try:
        try:
            return _main(arguments)
        finally:
            sys.stdout.flush()
    except CommandError as error:
        print(f"harden: error: {error.line()}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("harden: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has left; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _main(arguments: list[str]) -> int:
    parser = Parser(
        prog="scripts/harden",
        description="Takes a Flask + psycopg2 prototype to production.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"harden {_version()}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    chosen = arguments[0] if arguments and arguments[0] in VERBS else None
    for verb, (module, summary) in VERBS.items():
        if chosen in (None, verb):
            subparser = verbs.add_parser(
                verb, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
            )
            if chosen == verb:  # the other verbs' modules stay unimported: starting takes no time
                _module(module).add_arguments(subparser)
                if verb in ON_HOSTS:
                    _remote().add_arguments(subparser, verb)
                subparser.set_defaults(parser=subparser)
    options = parser.parse_args(arguments)
    return _run(VERBS[options.verb][0], options)


def _module(name: str) -> ModuleType:
    """Import a verb; where nothing is installed yet, most of them miss what renders files."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise CommandError("python3-jinja2 is not on this host; harden install brings it") from None


def _remote() -> ModuleType:
    return importlib.import_module("scripts.remote.options")


def _run(module: str, options: argparse.Namespace) -> int:
    for name in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(name) is not signal.SIG_IGN:  # nohup: it is to outlive its terminal
            signal.signal(name, _end)
    code = _remote().run_remotely(options.verb, options, options.parser) if options.verb in ON_HOSTS else None
    return int(importlib.import_module(module).run(options)) if code is None else int(code)


def _end(number: int, _: FrameType | None) -> NoReturn:
    # As an exception, so that every `with` on the way out stops its servers. Once is enough.
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _version() -> str:
    config = configparser.ConfigParser()
    config.read(Path(__file__).resolve().parent.parent / "setup.cfg")
    return config.get("metadata", "version", fallback="(version unknown)")
