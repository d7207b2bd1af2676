"""The description that a plan is of: a harden.toml, flags, or flags over a harden.toml.

Knows which key a flag is, and takes its bounds from the key. What no file and no flag says is the default.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from deploy.description import SECTIONS, App, Database, Description, DescriptionError, Range
from deploy.load_description import load

from ..arguments import number_of
from ..errors import CommandError

FILE = "harden.toml"
MOST_HOSTS = 1000
FLAGS: Mapping[str, tuple[str, str]] = {
    "--cores": ("hosts", "cores"),
    "--memory-mb": ("hosts", "memory_mb"),
    "--workers": ("server", "workers"),
    "--threads": ("server", "threads"),
    "--worker-class": ("server", "worker_class"),
    "--database-cores": ("database", "cores"),
    "--max-connections": ("database", "max_connections"),
    "--superuser-reserved": ("database", "superuser_reserved"),
    "--reserved": ("database", "reserved"),
    "--direct": ("database", "direct"),
    "--postgresql": ("database", "version"),
    "--pgbouncer": ("pgbouncer", "enabled"),
    "--place": ("pgbouncer", "place"),
    "--mode": ("pgbouncer", "mode"),
    "--processes": ("pgbouncer", "processes"),
    "--session-pool": ("pgbouncer", "session_pool"),
}


@dataclass(frozen=True)
class Described:
    """A description and how it came about.

    Attributes:
        description: with the flags in it.
        source: the file's name, or "flags and defaults".
        is_from_file: whether it names the real role and database.
        given: the keys that somebody set by a flag.
    """

    description: Description
    source: str
    is_from_file: bool
    given: frozenset[tuple[str, str]]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare a flag for each number that the plan is made of."""
    parser.add_argument(
        "--hosts", metavar="N", type=number_of("hosts", 1, MOST_HOSTS), help="how many hosts.app has"
    )
    for flag, (section, name) in FLAGS.items():
        field = next(field for field in fields(SECTIONS[section]) if field.name == name)
        text, check = f"{section}.{name}", field.metadata["check"]
        if isinstance(check, Range):
            number = number_of(flag.strip("-"), check.low, check.high)
            parser.add_argument(flag, metavar="N", type=number, help=text)
        else:
            parser.add_argument(flag, choices=check, metavar="X", help=f"{text}: {' or '.join(check)}")


def described(options: argparse.Namespace) -> Described:
    """Return what the command line describes.

    Raises:
        CommandError: the file cannot be used.
    """
    file = options.file or (Path(FILE) if Path(FILE).is_file() else None)
    given = {where: _value(options, flag) for flag, where in FLAGS.items() if _value(options, flag) is not None}
    description = _loaded(file) if file else Description(App("app", "app:app"), Database("app", "app"))
    description = changed(description, given)
    if options.hosts:
        description = _with_hosts(description, options.hosts)
    return Described(description, str(file or "flags and defaults"), file is not None, frozenset(given))


def changed(description: Description, values: Mapping[tuple[str, str], Any]) -> Description:
    """Return a description with some keys set."""
    for (section, name), value in values.items():
        description = replace(description, **{section: replace(getattr(description, section), **{name: value})})
    return description


def _value(options: argparse.Namespace, flag: str) -> Any:
    value = getattr(options, flag.strip("-").replace("-", "_"))
    return {"true": True, "false": False}.get(value, value)


def _loaded(file: Path) -> Description:
    try:
        return load(file)
    except DescriptionError as error:
        raise CommandError("; ".join(error.problems)) from None


def _with_hosts(description: Description, count: int) -> Description:
    """Keep the hosts that have names, as far as they go; more are called after their numbers."""
    named = description.hosts.app[:count]
    more = tuple(f"host{number}" for number in range(len(named) + 1, count + 1))
    return replace(description, hosts=replace(description.hosts, app=(*named, *more)))
