"""What must be true at the end, whatever happened: looked up in the database, not believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .people import FIRST_CENTS, Books
from .place import Place

PAYMENTS = "SELECT (amount * 100)::bigint, id FROM payments WHERE amount * 100 >= %s"


def broken(place: Place, books: Books) -> list[str]:
    """Return every invariant that does not hold, a sentence each."""
    rows = place.rows(PAYMENTS, (FIRST_CENTS,))
    return [*_books(books, rows), *books.wrong, *place.held()]


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


def came_true(books: Books, place: Place) -> tuple[int, int]:
    """Return of how many unanswered and failed payments the database has one after all."""
    stored = {cents for cents, _ in place.rows(PAYMENTS, (FIRST_CENTS,))}
    return len(books.unknown & stored), len(books.failed & stored)


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"
