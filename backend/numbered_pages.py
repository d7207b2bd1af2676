"""`NumberedPages`: a list by page number, for those who must show "page 3 of 61".

PostgreSQL counts its way to a page: page 5000 of 20 reads and throws away 100,000 rows, so a list has a depth
beyond which it says no. Rows that come or go meanwhile shift what follows. `CursorPages` has neither trouble.
Must not import Flask. If this is wrong, one request with a large number reads the whole table.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from psycopg2.sql import Composable

from .cursors import bound_text
from .errors import NodeError, PageError
from .nested import Node
from .nested_pages import new_nonce, with_cursors
from .page_limits import check_sizes, read_number
from .page_order import parse_order
from .page_statement import NONCE, ListSql, check_parameters, own_parameters, run
from .prepared import Statement, first_row
from .sqltext import excerpt

NONE, EXACT, CAPPED, ESTIMATED = COUNTS = ("none", "exact", "capped", "estimated")
NOBODY_COUNTS = "NULL::bigint"
MOST_KEPT = 1000  # totals kept per list and process; each set of parameters has its own


@dataclass(frozen=True)
class NumberedPage:
    """One page.

    Attributes:
        items_json: the rows, as a JSON array in UTF-8 that PostgreSQL wrote.
        number: which page it is, from 1.
        size: how many rows there could be.
        has_next: whether there are rows behind that can be asked for.
        total: rows of the whole list; None when nobody counts.
        total_is: "exact", "at_least", "estimate" or, without a total, "unknown".
    """

    items_json: bytes
    number: int
    size: int
    has_next: bool
    total: int | None
    total_is: str

    @property
    def items(self) -> list[Any]:
        """The rows, parsed."""
        parsed: list[Any] = json.loads(self.items_json)
        return parsed

    @property
    def has_previous(self) -> bool:
        """Whether this is not the first page."""
        return self.number > 1

    def json(self) -> bytes:
        """Return `{"items": [...], "page", "size", "has_next", "has_previous", "total", "total_is"}`."""
        told = {
            "page": self.number,
            "size": self.size,
            "has_next": self.has_next,
            "has_previous": self.has_previous,
            "total": self.total,
            "total_is": self.total_is,
        }
        return b'{"items":%s,%s' % (self.items_json, json.dumps(told, separators=(",", ":")).encode()[1:])


class NumberedPages:
    """A list that is read by page number; to be kept in a module constant.

    Args:
        source, order, key, size, largest, item: as of `CursorPages`.
        deepest: the last row that can be asked for.
        count: what the total is: "none"; "exact", which reads all rows; "capped", which stops at `count_cap`;
            "estimated", the planner's guess, in a statement of its own.
        count_cap: where a capped count stops.
        count_for: seconds for which this process reuses a total for the same parameters; 0 counts each time.
        clock: returns seconds.

    Raises:
        NodeError: what does not fit together.
    """

    def __init__(
        self,
        source: str | Composable | Node,
        /,
        *,
        order: str,
        key: str = "id",
        size: int = 20,
        largest: int = 100,
        item: Node | None = None,
        not_null: Iterable[str] = (),
        deepest: int = 10_000,
        count: str = NONE,
        count_cap: int = 10_000,
        count_for: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_sizes(size, largest)
        if count not in COUNTS:
            raise NodeError(f"count={count!r} is none of {', '.join(COUNTS)}")
        if deepest < largest or count_cap < 1 or count_for < 0:
            raise NodeError("deepest must not be below largest, count_cap not below 1, count_for not below 0")
        self.size, self.largest, self.deepest = size, largest, deepest
        self._count, self._cap = count, count_cap
        self._parts = ListSql(source, item, parse_order(order, key, not_null))
        self.parameters = own_parameters(self._parts, ("page", "size"))
        self._has_nested = NONCE in self._parts.parameters
        self._kept = _KeptTotals(count_for, clock)
        self._plain, self._counting = (Statement(self._text(total)) for total in (NOBODY_COUNTS, self._total()))

    @property
    def sql(self) -> str:
        """The statement of a page, with its total."""
        return self._counting.sql

    def fetch(self, conn: Any, /, page: Any = None, size: Any = None, **parameters: Any) -> NumberedPage:
        """Read a page.

        Args:
            conn: a connection or anything with `cursor()`.
            page: its number, as the client sent it: an int or text; None is 1.
            size: most rows, as the client sent it; None is the list's own.
            **parameters: the values of the `%(name)s` in the SQL.

        Raises:
            PageError: the number or the size is out of bounds.
            NodeError: a parameter is missing or unknown.
            psycopg2.Error: what the server said.
        """
        check_parameters(self.parameters, parameters, self)
        rows = read_number("limit", size, self.size, self.largest)
        number = self._read_page(page, rows)
        nonce = new_nonce()
        values = {**parameters, "page_size": rows, "page_offset": (number - 1) * rows}
        if self._has_nested:
            values[NONCE] = nonce
        known = self._kept.get(parameters)
        items, found, counted = run(conn, self._plain if known is not None else self._counting, values)
        total = known if known is not None else self._counted(conn, counted, values)
        if known is None and total is not None:
            self._kept.put(parameters, total)
        if self._has_nested:
            items = with_cursors(items, nonce, parameters)
        has_next = int(found) > rows and (number + 1) * rows <= self.deepest
        return NumberedPage(items, number, rows, has_next, *self._told(total))

    def json(self, conn: Any, /, page: Any = None, size: Any = None, **parameters: Any) -> bytes:
        """Read a page as JSON text; arguments as `fetch`."""
        return self.fetch(conn, page, size, **parameters).json()

    def _read_page(self, page: Any, rows: int) -> int:
        try:
            return read_number("page", page, 1, self.deepest // rows)
        except PageError as error:
            raise PageError(f"{error}: the list goes {self.deepest} rows deep") from None

    def _text(self, total: str) -> str:
        page = self._parts.page(self._parts.columns, [], "LIMIT %(page_size)s + 1 OFFSET %(page_offset)s")
        return (
            f'{page} SELECT to_json({self._parts.items("%(page_size)s")}) AS items, '
            f'to_json((SELECT count(*) FROM "~page")) AS rows, to_json({total}) AS total'
        )

    def _total(self) -> str:
        if self._count == EXACT:
            return f'(SELECT count(*) FROM {self._parts.rows} "~row")'
        if self._count == CAPPED:
            return f'(SELECT count(*) FROM (SELECT FROM {self._parts.rows} "~row" LIMIT {self._cap} + 1) "~row")'
        return NOBODY_COUNTS

    def _counted(self, conn: Any, counted: bytes | None, values: dict[str, Any]) -> int | None:
        if self._count == ESTIMATED:
            sql = f'EXPLAIN (FORMAT JSON) SELECT FROM {self._parts.rows} "~row"'
            return int(json.loads((first_row(conn, sql, values) or [b""])[0])[0]["Plan"]["Plan Rows"])
        return None if counted is None else int(counted)

    def _told(self, total: int | None) -> tuple[int | None, str]:
        """Return the total as a client is told it, and what it is."""
        if total is None:
            return None, "unknown"
        if self._count == CAPPED and total > self._cap:
            return self._cap, "at_least"
        return total, "estimate" if self._count == ESTIMATED else "exact"

    def __repr__(self) -> str:
        return f"<NumberedPages {excerpt(self._parts.source.template)}>"


class _KeptTotals:
    """Totals by parameters, for a while. The lock guards the dict; nothing slow happens under it."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._lock = threading.Lock()
        self._totals: dict[str, tuple[float, int]] = {}

    def get(self, parameters: dict[str, Any]) -> int | None:
        """Return a total that is young enough."""
        if not self._seconds:
            return None
        found = self._totals.get(bound_text(parameters))
        return found[1] if found is not None and self._clock() - found[0] < self._seconds else None

    def put(self, parameters: dict[str, Any], total: int) -> None:
        """Keep a total; the oldest one makes room."""
        if not self._seconds:
            return
        key = bound_text(parameters)
        with self._lock:
            self._totals.pop(key, None)
            self._totals[key] = self._clock(), total
            if len(self._totals) > MOST_KEPT:
                del self._totals[next(iter(self._totals))]
