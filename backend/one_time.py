"""Secrets that work once: OAuth's state, a link that confirms an address, a ticket for a download.

    secrets = OneTimeSecrets(PostgresSecrets())
    link = secrets.issue("confirm-address", {"customer": 7}, ttl=3600)
    data = secrets.consume("confirm-address", link)         # {"customer": 7}; a second time it is refused

Whoever reads the store cannot use what lies there: it has the SHA-256 of each secret, of 256 random bits. Of any
number of workers that race for one, the store lets exactly one win; time is the store's own clock's. What was
refused is told to the log by its reason, to the client never.
Knows neither Flask nor a store's kind. If this is wrong, a stolen link works twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import secrets
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import OneTimeRefused, OneTimeUnavailable

__all__ = ["OneTimeRefused", "OneTimeSecrets", "OneTimeUnavailable", "SecretStore", "Taken"]

log = logging.getLogger(__name__)
BYTES = 32
LONGEST_SECRET = 200  # characters; a longer one is none of ours, and is not worth hashing
LONGEST_TTL = 30 * 86400.0
MOST_DATA = 8192  # bytes
UNKNOWN, USED, EXPIRED, ELSEWHERE, WON = "unknown", "used", "expired", "of another browser", "won"


@dataclass(frozen=True)
class Taken:
    """What a store says of one try.

    Attributes:
        outcome: "won"; else "unknown", "used", "expired" or "of another browser".
        data: what was kept beside the secret, as JSON, when it was won.
    """

    outcome: str
    data: str | None = None


class SecretStore(Protocol):
    """Where secrets are kept, by their digests."""

    def put(self, purpose: str, digest: str, binding: str, data: str, ttl: float) -> None:
        """Keep one for `ttl` seconds of the store's clock."""

    def take(self, purpose: str, digest: str, binding: str) -> Taken:
        """Use one, in one step; what is of another browser is left to its own."""

    def clean_up(self, most: int) -> int:
        """Delete up to `most` that are over; returns how many."""


class OneTimeSecrets:
    """Issues secrets and takes them back once.

    Args:
        store: a PostgresSecrets or a RedisSecrets.
        ttl: seconds that a secret lives where nothing else is said.

    Raises:
        ValueError: ttl is not between 0 and 30 days.
    """

    def __init__(self, store: SecretStore, ttl: float = 600.0) -> None:
        self._store, self._ttl = store, _checked_ttl(ttl)

    def issue(self, purpose: str, data: Any = None, ttl: float | None = None, bound_to: str = "") -> str:
        """Return a new secret, fit for a URL.

        Args:
            purpose: what it is for; it is good for nothing else.
            data: what `consume` returns, as JSON of at most 8 KiB. It is kept as it is: no passwords.
            ttl: seconds that it lives.
            bound_to: something that only the right browser has, such as a random cookie; kept as a digest.

        Raises:
            ValueError: an argument that cannot be.
            OneTimeUnavailable: the store does not answer.
        """
        kept = json.dumps(data, allow_nan=False)
        if len(kept) > MOST_DATA:
            raise ValueError(f"{len(kept)} bytes of data beside a secret; at most {MOST_DATA}")
        _check_purpose(purpose)
        secret = secrets.token_urlsafe(BYTES)
        seconds = self._ttl if ttl is None else _checked_ttl(ttl)
        self._store.put(purpose, _digest(secret), _digest(bound_to), kept, seconds)
        return secret

    def consume(self, purpose: str, secret: str | None, bound_to: str = "") -> Any:
        """Use a secret and return its data. Of several callers exactly one gets it.

        A try with the wrong `bound_to` does not use it up: who has stolen a link cannot take it from its owner.

        Raises:
            OneTimeRefused: it is unknown, used, expired, or another browser's; the log says which.
            OneTimeUnavailable: the store does not answer; the secret may have been used by this try.
        """
        _check_purpose(purpose)
        if not isinstance(secret, str) or not 0 < len(secret) <= LONGEST_SECRET:
            raise self._refused(purpose, UNKNOWN)
        taken = self._store.take(purpose, _digest(secret), _digest(bound_to))
        if taken.outcome != WON:
            raise self._refused(purpose, taken.outcome)
        return json.loads(taken.data or "null")

    def clean_up(self, most: int = 10_000) -> int:
        """Delete what is over, in one small batch; returns how many. Call it now and then, from one place."""
        return self._store.clean_up(most)

    def _refused(self, purpose: str, reason: str) -> OneTimeRefused:
        log.warning("a one-time secret for %s was refused: it is %s", purpose, reason)
        return OneTimeRefused(purpose, reason)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _check_purpose(purpose: str) -> None:
    if not isinstance(purpose, str) or not 0 < len(purpose) <= 100:
        raise ValueError("purpose must be a text of 1 to 100 characters, such as 'oauth'")


def _checked_ttl(ttl: float) -> float:
    is_number = isinstance(ttl, (int, float)) and not isinstance(ttl, bool) and math.isfinite(ttl)
    if not is_number or not 0 < ttl <= LONGEST_TTL:
        raise ValueError(f"ttl={ttl!r} must be more than 0 and at most {LONGEST_TTL:.0f} seconds")
    return float(ttl)
