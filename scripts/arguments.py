"""Types for argparse that say what they want: numbers within bounds, refused in one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def number_of(what: str, low: int, high: int) -> Callable[[str], int]:
    """Return a type for whole numbers.

    Args:
        what: as in "is no number of users".
        low, high: inclusive bounds.
    """

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no number of {what} ({low} to {high})")
        return int(text)

    return parse


def seconds_for(what: str, low: float, high: float) -> Callable[[str], float]:
    """Return a type for times in seconds.

    Args:
        what: as in "is no time for a run".
        low, high: inclusive bounds.
    """

    def parse(text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = float("nan")
        if not low <= seconds <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no time for {what} ({low:g} to {high:g} seconds)")
        return seconds

    return parse
