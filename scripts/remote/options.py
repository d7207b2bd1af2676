"""`--ssh`, for verbs that run on a host: their one option more, and the place where they are handed over."""

from __future__ import annotations

import argparse

from ..errors import CommandError
from .target import client_options, targets


def add_arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare where a verb runs."""
    if parser.usage:
        parser.usage += " [--ssh HOST]..."
    parser.add_argument("--ssh", metavar="HOST", action="append", default=[],
                        help="run it on [USER@]HOST, as root or by sudo; repeat for several, in turn")  # fmt: skip
    parser.add_argument("--ssh-option", metavar="OPT", action="append", default=[],
                        help="for ssh itself, such as --ssh-option='-p 2222'")  # fmt: skip
    if verb == "install":
        parser.add_argument("--secrets-from", metavar="HOST",
                            help="with --ssh: the same secrets as this app host has")  # fmt: skip


def run_remotely(verb: str, options: argparse.Namespace, parser: argparse.ArgumentParser) -> int | None:
    """Run a verb where `--ssh` says; returns its exit code, None when it is to run here.

    Args:
        verb: its name.
        options: what its parser has read.
        parser: the verb's own.

    Raises:
        CommandError: it could not run there; says why.
    """
    if not options.ssh:
        if options.ssh_option or getattr(options, "secrets_from", None):
            raise CommandError("--ssh-option and --secrets-from are for --ssh HOST; say which host")
        return None
    from . import deployed  # only now: a verb that runs here starts without it

    targets([options.secrets_from] if getattr(options, "secrets_from", None) else [])
    return deployed.run(verb, options, parser, targets(options.ssh), client_options(options.ssh_option))
