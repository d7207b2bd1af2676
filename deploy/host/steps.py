"""Steps of a longer change: each is told before it is done, and in a dry run told alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Steps:
    """Tells and does steps.

    Args:
        say: takes a line for people.
        is_dry: whether they are only told.

    Attributes:
        count: how many have been told.
    """

    def __init__(self, say: Callable[[str], None], is_dry: bool = False) -> None:
        self._say = say
        self.is_dry = is_dry
        self.count = 0

    def __call__(self, text: str, do: Callable[[], T]) -> T | None:
        """Tell a step and do it; returns what it returned, and None in a dry run."""
        self.count += 1
        self._say(f"would {text}" if self.is_dry else text)
        return None if self.is_dry else do()
