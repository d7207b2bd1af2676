"""How numbers are written, the same in the table and on the page.

What was measured has three significant digits, since the next ones change from run to run; what was counted
is exact. A figure that does not exist is a dash, never a zero.
"""

from __future__ import annotations

import datetime
import math
import re

NONE = "-"

# Not strftime's, which speak the language of whoever runs it.
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def measured(value: float | None) -> str:
    """Write three significant digits with thousands separated: 47.0, 544, 1,410, 0.0123."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    # Rounded before the digits are counted: 99.96 is 100, not 100.0.
    exact = float(f"{value:.3g}")
    decimals = max(2 - math.floor(math.log10(abs(exact))), 0)
    return f"{exact:,.{decimals}f}"


def counted(value: float | None) -> str:
    """Write a whole number exactly, any other one like a measured one."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if float(value).is_integer() else measured(value)


def people(users: int) -> str:
    """Write a number of users: 1 user, 1,000 users."""
    return f"{users:,} user" if users == 1 else f"{users:,} users"


def ratio(value: float | None) -> str:
    """Write a factor: x 11.6."""
    return NONE if value is None else f"x {measured(value)}"


def percent(share: float | None) -> str:
    """Write a share of 1 in percent: 19.0 %, and 0 % only for none at all."""
    return NONE if share is None else f"{measured(share * 100)} %"


def typeset(text: str) -> str:
    """Put arrows and multiplication signs where a terminal has -> and x, and keep them with their numbers."""
    text = re.sub(r"(^|\s)x (?=\d)", "\\1\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}", text)
    return text.replace(" -> ", "\N{NO-BREAK SPACE}\N{RIGHTWARDS ARROW}\N{NO-BREAK SPACE}")


def duration(milliseconds: float) -> str:
    """Write a round duration for an axis: 10 ms, 1 s."""
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"


def long_date(text: str) -> str:
    """Write an ISO date in words: 22 November 2026.

    Raises:
        ValueError: The text is no ISO date.
    """
    date = datetime.date.fromisoformat(text)
    return f"{date.day} {MONTHS[date.month - 1]} {date.year}"
