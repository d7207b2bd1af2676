"""A statement in one line, for messages: shortened, with nothing of its strings, since those may be secrets."""

from __future__ import annotations

import re

from ..model.values import Text
from .words import plain

_SPACE = re.compile(r"\s+")


def shown(text: Text, width: int = 90) -> str:
    """Return a statement in one line of at most `width` characters; holes are "...", strings are ''."""
    found = _SPACE.sub(" ", plain(text.with_holes("..."))).strip().rstrip(";").rstrip()
    return found if len(found) <= width else f"{found[: width - 3].rstrip()}..."
