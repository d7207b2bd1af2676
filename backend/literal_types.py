"""The PostgreSQL type of the literal that psycopg2 writes for a Python value.

7 is integer, 3000000000 bigint, 7.5 numeric; text is `unknown`, that is whatever its place asks for, and so is
NULL. From psycopg2's adapters and the server's rules for constants (section 4.1.2 of its manual).
If this is wrong, a kept plan compares by another type than the statement itself would.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from psycopg2.extensions import ISQLQuote, adapters

UNKNOWN = "unknown"
_OF: dict[type, str] = {
    str: UNKNOWN, type(None): UNKNOWN, bool: "boolean", date: "date", timedelta: "interval", bytes: "bytea",
}  # fmt: skip
_ADAPTED = (*_OF, int, float, Decimal, datetime, time, list)


def adapters_are_psycopg2s() -> bool:
    """Tell whether the literals of the types known here are psycopg2's, and the app registered none of its own."""
    made_by = (adapters.get((kind, ISQLQuote)) for kind in _ADAPTED)
    return all(str(getattr(adapter, "__module__", "")).split(".")[0] == "psycopg2" for adapter in made_by)


def literal_type(value: Any) -> str:
    """Return the type of psycopg2's literal for a value, "" where that cannot be told."""
    kind = type(value)
    if kind is int:
        return _integer_type(value)
    known = _OF.get(kind)
    if known is not None:
        return known
    if kind is datetime:
        return "timestamptz" if value.tzinfo is not None else "timestamp"
    if kind is time:
        return "timetz" if value.tzinfo is not None else "time"
    if kind is Decimal:
        exponent = value.as_tuple().exponent
        return "numeric" if isinstance(exponent, int) and exponent < 0 else ""
    if kind is float:
        return "numeric" if value - value == 0 else ""  # not for NaN and the infinities
    return _array_type(value) if kind is list else ""


def _integer_type(value: int) -> str:
    if -(2**31) <= value < 2**31:
        return "integer"
    return "bigint" if -(2**63) <= value < 2**63 else "numeric"


def _array_type(values: list[Any]) -> str:
    kinds = {literal_type(value) if type(value) in (int, str) else "" for value in values}
    if kinds == {UNKNOWN}:
        return "text[]"
    widest = next((kind for kind in ("numeric", "bigint", "integer") if kind in kinds), "")
    return f"{widest}[]" if widest and kinds <= {"integer", "bigint", "numeric"} else ""
