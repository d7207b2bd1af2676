"""The flags of `harden plan --measure`; all but the first are in docs/capacity.md, since help fits a screen."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..load.budgets import seconds_of, share_of

USERS = (50, 200, 500)
MOST_USERS = 10_000_000


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("--measure", metavar="TARGET",
                        help="predict loads by a short run of it: docs/capacity.md")  # fmt: skip

    def hidden(name: str, **options: object) -> None:
        parser.add_argument(name, help=argparse.SUPPRESS, **options)  # type: ignore[arg-type]

    hidden("--metrics", metavar="FILE", nargs="+")
    hidden("--database-ms", metavar="MS", type=_milliseconds)
    hidden("--think", metavar="TIME")
    hidden("--scenario", metavar="FILE", type=Path)
    hidden("--users", metavar="N,N", type=users_of, default=USERS)
    hidden("--target-p95", metavar="TIME", type=seconds_of, default=0.3)
    hidden("--calibration", metavar="FILE", type=Path)
    hidden("--check", action="store_true")
    hidden("--html", metavar="FILE", type=Path)
    hidden("--paper", metavar="SHARE", type=share_of)
    hidden("--write", action="store_true")
    hidden("--allow-remote", action="store_true")


def users_of(text: str) -> tuple[int, ...]:
    """Parse `50,200,500`.

    Raises:
        argparse.ArgumentTypeError: it is no list of numbers of people.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= MOST_USERS for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of users such as 50,200,500 (1 to {MOST_USERS:,})")
    return tuple(sorted({int(part) for part in parts}))


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 60_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no time in milliseconds")
    return value / 1000
