"""A verb on one host or several in turn, up to the first that fails; what only looks asks all of them.

Knows which verb needs what beside its own arguments. If this is wrong, hosts run different releases and nobody is
told, or have different secrets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from ..errors import CommandError
from . import readiness, secrets
from .connection import Connection
from .luggage import Luggage, packed
from .readiness import Remote
from .session import Made, Session, Word, wait_for
from .summary import summary
from .words import words

LOOKING = ("status", "logs", "check", "diff")  # change nothing, so that each host is asked whatever others said
# Of release, when another host has migrated the database that they share.
MIGRATED: dict[str, Word | None] = {"migrate": None, "no_migrate": "yes"}
GIVEN: list[Word] = ["--secrets", Made("SECRETS")]


def run(
    verb: str, options: argparse.Namespace, parser: argparse.ArgumentParser, hosts: Sequence[str],
    ssh_options: list[str],
) -> int:  # fmt: skip
    """Run a verb on hosts; returns the exit code: the first failure's, or the worst of those that only look.

    Raises:
        CommandError: a host cannot be reached or cannot run the kit; nothing was changed then. Or a connection was
            lost.
    """
    with ExitStack() as stack:
        luggage = stack.enter_context(packed(verb, options))
        command = words(parser, options, luggage.made)
        if verb in LOOKING:
            return _look(stack, [verb, *command], luggage, hosts, ssh_options)
        # Everybody is asked before anybody is changed: what cannot be reached fails here.
        needs_jinja2 = verb != "install"  # which brings it
        ready = [_ready(stack, host, ssh_options, needs_jinja2) for host in hosts]
        if verb == "install" and not luggage.secrets:
            given = _secrets_there(stack, luggage, ready, options.secrets_from, ssh_options)
            luggage = replace(luggage, secrets=given)
            command = [*GIVEN, *command] if given else command
        later = words(parser, options, {**luggage.made, **MIGRATED}) if verb == "release" else command
        return _in_turn(verb, command, later, luggage, ready)


def _secrets_there(
    stack: ExitStack, luggage: Luggage, hosts: Sequence[Remote], source: str | None, ssh_options: list[str]
) -> bytes:
    """Return the secrets that hosts of this service have: that of a named one, or of those that are installed."""
    there = [_ready(stack, source, ssh_options, needs_jinja2=False)] if source else hosts
    if not source and len(hosts) < 2:
        return b""  # it has its own
    found = secrets.shared({each.host: secrets.read(each, luggage.secrets_path) for each in there})
    if source and not found:
        raise CommandError(f"{source} has no {luggage.secrets_path}; install that host first")
    return found


def _ready(stack: ExitStack, host: str, ssh_options: list[str], needs_jinja2: bool) -> Remote:
    return readiness.ready(stack.enter_context(Connection(host, ssh_options)), needs_jinja2)


def _look(
    stack: ExitStack, command: list[Word], luggage: Luggage, hosts: Sequence[str], ssh_options: list[str]
) -> int:
    """Ask all hosts at once, for a log that is followed has no end."""
    worst, sessions = 0, []
    for host in hosts:
        try:
            remote = _ready(stack, host, ssh_options, needs_jinja2=True)
            sessions.append(Session(remote, command, luggage.tar, luggage.secrets, _prefix(host, hosts)))
        except CommandError as error:
            worst = _told(error)
    for outcome in wait_for(sessions):
        worst = max(worst, _told(outcome) if isinstance(outcome, CommandError) else outcome)
    return worst


def _told(error: CommandError) -> int:
    print(f"harden: error: {error.line()}", file=sys.stderr)
    return 2


def _prefix(host: str, hosts: Sequence[str]) -> str:
    return f"{host.rpartition('@')[2]}: " if len(hosts) > 1 else ""


def _in_turn(
    verb: str, command: list[Word], later: list[Word], luggage: Luggage, hosts: Sequence[Remote]
) -> int:
    names = [remote.host for remote in hosts]
    done: list[str] = []
    try:
        for remote in hosts:
            wanted = [verb, *(later if done else command)]
            session = Session(remote, wanted, luggage.tar, luggage.secrets, _prefix(remote.host, names))
            (outcome,) = wait_for([session])
            if isinstance(outcome, CommandError):
                raise outcome
            if outcome:
                return outcome
            done.append(remote.host)
    finally:
        for line in summary(verb, names, done):
            print(f"harden: {line}", file=sys.stderr)
    return 0
