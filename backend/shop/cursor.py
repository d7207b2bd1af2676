"""The cursor of a page: where the last row stood, as text that a client only hands back.

Keyset, not OFFSET: the hundredth page costs what the first does, and a row that is added meanwhile shifts
nothing. PostgreSQL writes the cursor (see `queries.PAGE`), this module reads it; the two must agree.
Must not import Flask.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

from .fields import BIGINT, Refused

WRITTEN = re.compile(r"([0-9]{1,10}):([0-9]{1,19})")


class Position(NamedTuple):
    """The row after which a page starts: `starts_at` in seconds since 1970, and `id`."""

    seconds: float
    id: int


START = Position(float("inf"), BIGINT)


def encode(seconds: int, row_id: int) -> str:
    """Write a cursor: base64url of `seconds:id`, without padding."""
    return urlsafe_b64encode(f"{seconds}:{row_id}".encode()).rstrip(b"=").decode()


def decode(cursor: str | None) -> Position:
    """Read a cursor; none means the first page.

    Raises:
        Refused: anything that `encode` does not write.
    """
    if not cursor:
        return START
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:
        text = ""
    match = WRITTEN.fullmatch(text)
    if match is None or int(match[2]) > BIGINT or encode(int(match[1]), int(match[2])) != cursor:
        raise Refused("cursor must be a next_cursor of an earlier page")
    return Position(int(match[1]), int(match[2]))
