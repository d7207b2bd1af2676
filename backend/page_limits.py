"""Reads what a client may ask of a page: how many rows, and the page's number.

A client's text is taken as it is written: ASCII digits, nothing around them. Knows nothing of HTTP. If this is
wrong, one request reads a whole table.
"""

from __future__ import annotations

import re
from typing import Any

from .errors import NodeError, PageError

_DIGITS = re.compile(r"[0-9]{1,18}")


def read_number(name: str, asked: Any, default: int, largest: int) -> int:
    """Read a whole number from 1 to `largest`; None is the default.

    Args:
        name: what the client calls it, for the message.
        asked: what the client sent: text or an int.
        default: the number when nothing was asked.
        largest: the upper bound.

    Raises:
        PageError: anything else; the text says the bounds.
    """
    if asked is None:
        return default
    number = 0
    if isinstance(asked, str) and _DIGITS.fullmatch(asked):
        number = int(asked)
    elif isinstance(asked, int) and not isinstance(asked, bool):
        number = asked
    if not 1 <= number <= largest:
        raise PageError(f"{name} must be a whole number from 1 to {largest}")
    return number


def check_sizes(size: int, largest: int) -> None:
    """Check a list's own bounds.

    Raises:
        NodeError: they are no bounds.
    """
    if isinstance(size, bool) or isinstance(largest, bool) or not 1 <= size <= largest <= 10_000:
        raise NodeError(f"size={size!r}, largest={largest!r}: both from 1 to 10000, and size not above largest")
