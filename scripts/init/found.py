"""A value for the description with where it came from: what makes a written file worth trusting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

DEFAULT = "default"


@dataclass(frozen=True)
class Found:
    """One value.

    Attributes:
        value: as the description has it.
        where: "found in app.py:12", "default", or other words of one line.
        change: what a person has to look up; "" where the value can be used as it is.
        others: what it could be as well, as (value, where).
    """

    value: Any
    where: str = DEFAULT
    change: str = ""
    others: tuple[tuple[Any, str], ...] = ()


def in_file(place: str) -> str:
    """Return the words for a place, path:line or a path."""
    name = PurePosixPath(place).name
    is_example = any(word in name for word in ("example", "sample", "template"))
    return f"found in {place}{', an example' if is_example else ''}"
