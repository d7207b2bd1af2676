"""Puts what RETURNING returned beside the rows that were sent.

PostgreSQL inserts the rows of `VALUES` one after the other and returns them as it goes, but its documentation
promises no order. So an upsert is put together by its key, and an insert, which has nothing to compare by, is
refused when rows are missing. Must not send anything. If this is wrong, an id is taken for another row's.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from .errors import BatchError
from .lookup import value_of
from .write_pages import Page


class Written(list[Any]):
    """What RETURNING returned, row by row; empty without RETURNING.

    Attributes:
        rowcount: rows inserted, updated or deleted; -1 when the driver cannot tell, which is when several
            statements went in one round trip.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rowcount = 0

    def add_up(self, cursor: Any) -> None:
        """Count what a page wrote."""
        self.rowcount += max(cursor.rowcount, 0)


def placed_in_order(rows: list[Any], page: Page) -> list[Any]:
    """Return the rows of an INSERT as they came.

    Raises:
        BatchError: there are not as many as were sent.
    """
    if len(rows) != len(page.values):
        raise BatchError(
            f"{len(page.values)} rows from row {page.first} on were sent and {len(rows)} returned: a trigger or a"
            " rule left some out, and which ones is not known; leave out returning=, or use upsert_many"
        )
    return rows


def placed_by_key(cursor: Any, page: Page, key: Sequence[str]) -> list[Any]:
    """Return for each row of an upsert what came back for its key; None where nothing did.

    Raises:
        BatchError: a key came back that was not sent.
    """
    there = [column[0] for column in cursor.description]
    places = [there.index(name) for name in key]
    sent = {**{_text(known): known for known in page.keys}, **{known: known for known in page.keys}}
    row_of: dict[Hashable, Any] = {}
    for row in cursor.fetchall():
        came: tuple[Any, ...] = tuple(value_of(row, *where) for where in zip(key, places))  # noqa: B905
        known = _known(came, sent)
        row_of[known] = row
    return [row_of.get(known) for known in page.keys]


def _known(came: tuple[Any, ...], sent: Mapping[Hashable, Hashable]) -> Hashable:
    """Return the key as it was sent: a UUID comes back as text, and a date that was sent as text as a date."""
    for spelling in (came, _text(came)):
        try:
            if spelling in sent:
                return sent[spelling]
        except TypeError:
            continue  # it cannot be compared
    raise BatchError(
        f"key {came!r} came back and was not sent: a trigger changed it, or it was sent as another type than its"
        " column's; send it as the column's type, or leave out returning="
    )


def _text(key: Any) -> Hashable:
    return tuple(map(str, key))
