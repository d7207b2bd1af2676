"""A host as it is named on the command line: `[USER@]HOST`, where HOST may be a name of ~/.ssh/config."""

from __future__ import annotations

import re
import shlex

from ..errors import CommandError

# Never a dash first: ssh would take it for an option, and options can run programs.
TARGET = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_.-]{0,63}@)?[A-Za-z0-9_:\[][A-Za-z0-9_.:%\[\]-]{0,252}")


def targets(given: list[str]) -> list[str]:
    """Return the hosts of a command line in their order.

    Raises:
        CommandError: one is no host, or stands there twice.
    """
    for text in given:
        if not TARGET.fullmatch(text):
            raise CommandError(f"{text!r} is no host; give HOST or USER@HOST, and a port by --ssh-option=-p2222")
        if given.count(text) > 1:
            raise CommandError(f"{text} is named twice; each --ssh is a host of its own")
    return given


def client_options(given: list[str]) -> list[str]:
    """Return ssh's own options of a command line as words: `-p 2222`, `-i FILE`, `-J HOST`.

    Raises:
        CommandError: one has an open quote, or does not begin with a dash.
    """
    words = []
    for text in given:
        try:
            found = shlex.split(text)
        except ValueError as error:
            raise CommandError(f"--ssh-option {text!r} cannot be read: {error}") from None
        if not found or not found[0].startswith("-"):
            raise CommandError(f"--ssh-option {text!r} is no option of ssh; for example --ssh-option='-p 2222'")
        words += found
    return words
