"""Copies of rows: whoever gets one may change it, and nobody else sees that.

Knows psycopg2's kinds of rows and the values that they hold; everything else is copied by the standard library.
If this is wrong, a row changed in one place is changed for all who ask for it later in the request.
"""

from __future__ import annotations

import copy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg2.extras import DictRow, RealDictRow

# A memoryview of bytea is read-only, and could not be copied by `copy`.
_FIXED = {
    type(None), bool, int, float, complex, str, bytes, memoryview, Decimal, date, datetime, time, timedelta, UUID,
}  # fmt: skip


def copied(value: Any) -> Any:
    """Return a copy of a row, a list of rows, or a value in one.

    Raises:
        TypeError, copy.Error: it holds something that cannot be copied.
    """
    kind = type(value)
    if kind in _FIXED:
        return value
    if kind is tuple:
        return tuple(map(copied, value))
    if kind is list:
        return list(map(copied, value))
    if kind is dict or kind is RealDictRow:
        return kind((key, copied(item)) for key, item in value.items())
    if kind is DictRow:
        return _dict_row(value)
    if issubclass(kind, tuple) and hasattr(kind, "_make"):
        return kind._make(map(copied, value))
    return copy.deepcopy(value)


def _dict_row(row: Any) -> Any:
    twin: Any = DictRow.__new__(DictRow)  # its __init__ wants a cursor
    twin._index = row._index
    twin.extend(map(copied, list(row)))
    return twin
