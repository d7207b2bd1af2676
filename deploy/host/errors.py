"""What can go wrong on a host: one line for people, and the last lines of the log that has the details."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError


class HostError(InputError):
    """Something that a person must look at.

    Attributes:
        tail: last lines of the log or journal that say more; may be empty.
    """

    def __init__(self, message: str, tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.tail = tuple(tail)


class GateError(HostError):
    """A release that must not serve; what it had changed has been put back."""
