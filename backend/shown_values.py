"""The values of a statement's parameters as a short text, for those who have asked for them in the log.

Nothing is shown of statements that handle passwords and keys. Knows no connections. If this is wrong, a log holds
a password, or a value of a gigabyte is written out while a request waits.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from typing import Any

LONGEST_VALUE, LONGEST_ALL = 100, 1000  # characters
MOST_VALUES = 50
_SECRET = re.compile(
    rb"passw|passphrase|passcode|\bpwd|secret|token|crypt|api_?key|private_?key|credential", re.IGNORECASE
)


class _Short(reprlib.Repr):
    """Representations that cost no more than they show."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = LONGEST_VALUE
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 10
        self.maxlevel = 3

    def repr1(self, x: Any, level: int) -> str:
        if isinstance(x, (bytes, bytearray)):
            x = bytes(x[:LONGEST_VALUE])
        return super().repr1(x, level)


_short = _Short()


def handles_secrets(text: str | bytes) -> bool:
    """Tell whether a statement is about passwords, tokens or keys, by the names in it."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return _SECRET.search(raw) is not None


def shown_values(values: Any) -> str:
    """Return the parameters as `%s` or `%(name)s` had them, each and all of them shortened."""
    if isinstance(values, Mapping):
        pairs = list(values.items())[:MOST_VALUES]
        shown = ", ".join(f"{_cut(str(name))}={_one(value)}" for name, value in pairs)
    elif isinstance(values, (list, tuple)):
        shown = ", ".join(_one(value) for value in values[:MOST_VALUES])
    else:
        shown = _one(values)
    return shown if len(shown) <= LONGEST_ALL else f"{shown[: LONGEST_ALL - 3]}..."


def _one(value: Any) -> str:
    return _cut(_short.repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
