"""What people and the checks need of a shop, wherever it stands: on the local stack, or on hosts of the lab."""

from __future__ import annotations

from typing import Any, Protocol


class Place(Protocol):
    """A shop at which people pay, and whose database can be asked past it."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that answer."""

    @property
    def appointments(self) -> dict[int, int]:
        """Customer by appointment, of customers whose profiles show all of theirs."""

    @property
    def key(self) -> str:
        """What it signs with; "" where nobody asks for a page of their own."""

    def rows(self, statement: str, values: Any = None) -> list[Any]:
        """Ask the shop's database as a superuser."""

    def held(self) -> list[str]:
        """Return what is held though nobody asks any more, a sentence each."""
