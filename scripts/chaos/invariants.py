"""What must be true at the end, whatever happened: looked up in the database, not believed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from ..demo.sides import DATABASE, ROLE
from ..errors import CommandError
from ..load.site import parse_site
from ..top.service import Service
from .people import FIRST_CENTS, Books
from .world import MOST_CONNECTIONS, World

PAYMENTS = "SELECT (amount * 100)::bigint, id FROM payments WHERE amount * 100 >= %s"
SESSIONS = """
SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%%') FROM pg_stat_activity
WHERE datname = %s AND usename = %s"""
QUIET = 10.0  # seconds for the last leases to end


def broken(world: World, books: Books) -> list[str]:
    """Return every invariant that does not hold, a sentence each."""
    rows = world.rows(PAYMENTS, (FIRST_CENTS,))
    return [*_books(books, rows), *books.wrong, *_quiet(world)]


def _books(books: Books, rows: list[tuple[int, int]]) -> list[str]:
    found = []
    stored, ids = Counter(cents for cents, _ in rows), {(cents, number) for cents, number in rows}
    known = books.acknowledged.keys() | books.refused | books.failed | books.unknown
    kept = {cents: number for cents, number in books.acknowledged.items() if cents in stored}
    doubled = _new(books, (cents for cents, times in stored.items() if times > 1))
    if doubled:
        found.append(f"{len(doubled)} payment(s) are in the database more than once, such as {_money(doubled[0])}")
    lost = _new(books, (cents for cents in books.acknowledged if cents not in stored))
    if lost:
        found.append(f"{len(lost)} acknowledged payment(s) are not in the database, such as {_money(lost[0])}")
    other = _new(books, (cents for cents, number in kept.items() if (cents, number) not in ids))
    if other:
        found.append(f"{len(other)} receipt(s) name another payment, such as that of {_money(other[0])}")
    refused = _new(books, books.refused & stored.keys())
    if refused:
        found.append(f"{len(refused)} refused payment(s) are in the database, such as {_money(min(refused))}")
    strange = _new(books, stored.keys() - known)
    if strange:
        found.append(f"{len(strange)} stored payment(s) were made by nobody, such as {_money(min(strange))}")
    return found


def _new(books: Books, cents: Iterable[int]) -> list[int]:
    """Return those that were not told about before, and note them."""
    found = [each for each in cents if each not in books.told]
    books.told.update(found)
    return found


def _quiet(world: World) -> list[str]:
    """Check that nothing is held once nobody asks: leases, transactions, connections."""
    found = []
    used: Any = _until(lambda: _leased(world), lambda leased: leased == 0)
    if used != 0:
        found.append(f"{used} connection(s) are still leased from the pools {QUIET:.0f} s after the last request")
    total, idle = _until(lambda: world.rows(SESSIONS, (DATABASE, ROLE))[0], _is_planned)
    if idle:
        found.append(f"{idle} session(s) are idle in a transaction")
    if total > MOST_CONNECTIONS:
        found.append(f"{total} connections are open at the database, of {MOST_CONNECTIONS} planned")
    return found


def _is_planned(sessions: tuple[int, int]) -> bool:
    return sessions[1] == 0 and sessions[0] <= MOST_CONNECTIONS


def _leased(world: World) -> Any:
    try:
        return Service(parse_site(world.web.url), world.ops_token).ask_once()["service"].get("used")
    except CommandError as error:
        return f"unknown ({error})"


def _until(look: Callable[[], Any], is_good: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + QUIET
    while not is_good(seen := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return seen


def came_true(books: Books, world: World) -> tuple[int, int]:
    """Return of how many unanswered and failed payments the database has one after all."""
    stored = {cents for cents, _ in world.rows(PAYMENTS, (FIRST_CENTS,))}
    return len(books.unknown & stored), len(books.failed & stored)


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"
