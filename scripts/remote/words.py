"""The command line of a verb as the host is to run it: without `--ssh`, and with paths that are made there."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from .session import Made, Word

OURS = ("ssh", "ssh_option", "secrets_from")


def words(
    parser: argparse.ArgumentParser, options: argparse.Namespace, made: Mapping[str, Word | None]
) -> list[Word]:
    """Return a verb's arguments.

    Args:
        parser: the verb's.
        options: what it has read.
        made: by the name of an argument what stands for its value on the host; None leaves it out.
    """
    found: list[Word] = []
    rest: list[Word] = []
    for action in parser._actions:
        if action.dest in (*OURS, "help"):
            continue
        value = made[action.dest] if action.dest in made else getattr(options, action.dest, None)
        if value is None or (action.dest not in made and value == action.default):
            continue
        (found if action.option_strings else rest).extend(_spelled(action, value))
    # Behind `--`, for these may begin with a dash as well.
    return [*found, "--", *rest] if rest else found


def _spelled(action: argparse.Action, value: Any) -> Iterator[Word]:
    values = value if isinstance(value, (list, tuple)) else [value]
    flag = action.option_strings[-1] if action.option_strings else ""
    if flag and action.nargs == 0:  # store_true and the like; counted ones as often as they stood there
        yield from [flag] * (value if type(value) is int else 1)
        return
    for each in values:
        if isinstance(each, Made):
            if flag:
                yield flag
            yield each
        else:
            yield f"{flag}={each}" if flag else str(each)  # one word, for a value may begin with a dash
