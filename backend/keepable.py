"""Tells whether a statement means the same with its plan kept, and what else its plan depends on.

A kept plan is made of a statement that was read once. What reading decides stays decided: 'today' is a day from
then on, a moment without a zone stands in the zone of then, a number in ORDER BY is a value and no position.
Knows no connections. If this is wrong, a kept plan answers what the statement itself would not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from .sqltext import Token, code, scan

OCCURRENCE = re.compile(r"%\((\w+)\)s|%%")
# Which moment a literal is depends on these; the server reports each change of them, so asking costs nothing.
SETTINGS = ("TimeZone", "DateStyle", "IntervalStyle")
_MOMENT = re.compile(r"(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])", re.IGNORECASE)
_LIKE_A_MOMENT = re.compile(r"\d\D+\d|\d{5}")
_UNITS = ("year", "month", "day", "hour", "minute", "second")
_AFTER_ITEMS = ("limit", "offset", "fetch", "for", "having", "window", "union", "select", "rows")
_ITEM_FOLLOWS = ("by", "rollup", "cube", "sets")


class Reading(NamedTuple):
    """What a statement's text says.

    Attributes:
        names: the parameter of each occurrence.
        settings: the session's settings that its literals are read by.
        is_keepable: whether a kept plan of it can answer as the statement itself.
    """

    names: tuple[str, ...]
    settings: tuple[str, ...]
    is_keepable: bool


def read(sql: str) -> Reading:
    """Read a statement with `%(name)s` parameters."""
    words = code(scan(sql))
    names = tuple(found[1] for found in OCCURRENCE.finditer(sql) if found[1])
    is_dated = any(token.kind == "string" and _LIKE_A_MOMENT.search(token.text) for token in words)
    is_keepable = not (moment_in(words) or _has_position(words) or _has_interval_of_units(words))
    return Reading(names, SETTINGS if is_dated else (), is_keepable)


def moment_in(tokens: Sequence[Token]) -> str | None:
    """Return the first literal that may be a moment relative to when it is read, as 'today' and 'now' are."""
    return next((token.text for token in tokens if token.kind == "string" and _MOMENT.search(token.text)), None)


def _has_interval_of_units(words: Sequence[Token]) -> bool:
    """Tell whether something is cast to `interval day` or the like, which read a literal '5' as five of them."""
    return any(one.is_word("interval") and two.is_word(*_UNITS) for one, two in pairwise(words))


def _has_position(words: Sequence[Token]) -> bool:
    """Tell whether a parameter is an item of ORDER BY, GROUP BY or DISTINCT ON, where a 2 is a position."""
    in_list: dict[int, bool] = {}
    is_item = is_distinct = is_on = False
    for token in words:
        if token.is_word("by"):
            in_list[token.depth] = True
        elif token.is_word(*_AFTER_ITEMS):
            in_list[token.depth] = False
        elif token.is_mark("("):  # parentheses around an item change nothing
            in_list[token.depth + 1] = is_on or (is_item and in_list.get(token.depth, False))
        elif token.kind == "parameter" and is_item and in_list.get(token.depth):
            return True
        is_on = is_distinct and token.is_word("on")
        is_distinct = token.is_word("distinct")
        is_item = token.is_word(*_ITEM_FOLLOWS) or token.is_mark(",", "(")
    return False
