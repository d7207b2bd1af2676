"""Nothing stays behind once nobody asks: leases, transactions, connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..errors import CommandError
from ..load.site import parse_site
from ..top.service import Service
from .place import Place

SESSIONS = """
SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%%') FROM pg_stat_activity
WHERE datname = %s AND usename = %s"""
QUIET = 10.0  # seconds for the last leases to end


def leases(url: str, ops_token: str) -> list[str]:
    """Return a sentence when connections are still leased from the pools."""
    used: Any = _until(lambda: _leased(url, ops_token), lambda leased: leased == 0)
    if used == 0:
        return []
    return [f"{used} connection(s) are still leased from the pools {QUIET:.0f} s after the last request"]


def sessions(place: Place, database: str, role: str, most: int) -> list[str]:
    """Return what the app's role still has open at the database beyond what was planned.

    Args:
        most: connections that were planned.
    """
    found = []
    total, idle = _until(
        lambda: place.rows(SESSIONS, (database, role))[0], lambda seen: seen[1] == 0 and seen[0] <= most
    )
    if idle:
        found.append(f"{idle} session(s) are idle in a transaction")
    if total > most:
        found.append(f"{total} connections are open at the database, of {most} planned")
    return found


def _leased(url: str, ops_token: str) -> Any:
    try:
        return Service(parse_site(url), ops_token).ask_once()["service"].get("used")
    except CommandError as error:
        return f"unknown ({error})"


def _until(look: Callable[[], Any], is_good: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + QUIET
    while not is_good(seen := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return seen
