"""What a PostgreSQL type holds: which SQLite values fit it without a loss, and how COPY and the check see one.

A value is never rounded, cut or guessed: what does not fit raises ValueError, and the column gets another
type or the run stops. COPY gets a date's own text and PostgreSQL reads it; the check reads it in Python:
two ways to one value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Context, Decimal
from typing import Any

BYTES = ("bytea", "any bytes")
EXACT = 2**53  # a double holds every integer up to here
_WIDE = Context(prec=2000)  # digits; enough for 1e308 and for 5e-324 written out
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:\d\d)?\Z", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d(?::\d\d(?:\.(?:\d{3}|\d{6}))?)?\Z", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.ASCII)
_SIZED = re.compile(r"(?P<name>numeric|varchar)\((?P<first>\d+)(?:,(?P<second>\d+))?\)\Z")


@dataclass(frozen=True)
class Kind:
    """A type and its ways.

    Attributes:
        name: PostgreSQL's, as in DDL.
        value: from a SQLite value to what psycopg2 gives for it; raises ValueError where it does not fit.
        copied: from the same SQLite value to COPY's text, not yet escaped.
        shown: the SQL that reads it back for the check, of {} the column.
        wrong: SQL that is true for a misfit without a call to `value`; None where `value` must look.
    """

    name: str
    value: Callable[[Any], Any]
    copied: Callable[[Any], str] = str
    shown: str = "{}"
    wrong: str | None = None


def kind_of(name: str) -> Kind:
    """Return the kind of a PostgreSQL type's name.

    Raises:
        KeyError: it is none that a SQLite value can be moved to.
    """
    sized = _SIZED.match(name)
    if not sized:
        return KINDS[name]
    first, second = int(sized["first"]), int(sized["second"] or 0)
    if sized["name"] == "varchar":
        return Kind(name, lambda value: _short(value, first))
    return Kind(name, lambda value: _fixed(value, first, second), _digits)


def _integer(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _double(value: Any) -> float:
    if type(value) is int and -EXACT <= value <= EXACT:
        return float(value)
    if type(value) is not float:
        raise ValueError
    return value


def _float_text(value: Any) -> str:
    text = repr(float(value))
    return {"inf": "Infinity", "-inf": "-Infinity"}.get(text, text)


def _numeric(value: Any) -> Decimal:
    if type(value) not in (int, float) or value in (float("inf"), float("-inf")):
        raise ValueError
    return Decimal(_digits(value)).normalize(_WIDE)


def _digits(value: Any) -> str:
    """Return the shortest text that reads back as the same number."""
    return repr(value)


def _fixed(value: Any, precision: int, scale: int) -> Decimal:
    number = _numeric(value)
    exponent = int(number.as_tuple().exponent)
    if -exponent > scale or number.adjusted() >= precision - scale:
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    if type(value) is not int or value not in (0, 1):
        raise ValueError
    return bool(value)


def _text(value: Any) -> str:
    if type(value) is not str or "\0" in value:
        raise ValueError
    return value


def _short(value: Any, length: int) -> str:
    if len(_text(value)) > length:
        raise ValueError
    return str(value)


def _any_text(value: Any) -> str:
    """Write a number as SQLite's own text would read back to it; bytes only where they are UTF-8."""
    if isinstance(value, bytes):
        return _text(value.decode())
    return _text(value if isinstance(value, str) else repr(value))


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        raise ValueError
    return value


def _hex(value: Any) -> str:
    return "\\x" + _bytes(value).hex()


def _date(value: Any) -> date:
    if not _DATE.match(_text(value)):
        raise ValueError
    return date.fromisoformat(value)


def _moment(value: Any, zone: bool) -> datetime:
    found = _MOMENT.match(_text(value))
    if not found or bool(found[5]) is not zone:
        raise ValueError
    day, minute, second, fraction, offset = found.groups()
    text = f"{day}T{minute}:{second or '00'}.{(fraction or '').ljust(6, '0')}"
    moment = datetime.fromisoformat(text + ("+00:00" if offset == "Z" else offset or ""))
    # An instant near the ends of Python's calendar cannot be compared in UTC.
    if zone and not 2 <= moment.year <= 9998:
        raise ValueError
    return moment


def _plain_moment(value: Any) -> datetime:
    return _moment(value, zone=False)


def _zoned_moment(value: Any) -> float | str:
    moment = _moment(value, zone=True)
    offset = moment.utcoffset()
    assert offset is not None
    return (moment.replace(tzinfo=None) - offset).isoformat()


def _time(value: Any) -> time:
    if not _TIME.match(_text(value)):
        raise ValueError
    return time.fromisoformat(value)


def _json(value: Any) -> str:
    json.loads(_text(value), parse_constant=_refuse)
    return str(value)


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN is JSON to Python alone


def _uuid(value: Any) -> str:
    if not _UUID.match(_text(value)):
        raise ValueError
    return str(value)


_ISO = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
KINDS = {
    kind.name: kind
    for kind in (
        Kind("bigint", _integer, wrong="typeof({0}) NOT IN ('integer', 'null')"),
        Kind("double precision", _double, _float_text, wrong=f"typeof({{0}}) NOT IN ('real', 'null') AND NOT "
             f"(typeof({{0}}) = 'integer' AND {{0}} BETWEEN -{EXACT} AND {EXACT})"),
        Kind("numeric", _numeric, _digits),
        Kind("boolean", _boolean, wrong="NOT ({0} IS NULL OR (typeof({0}) = 'integer' AND {0} IN (0, 1)))"),
        Kind("text", _text),
        Kind("citext", _text),
        Kind("any text", _any_text, _any_text),
        Kind("bytea", _bytes, _hex, wrong="typeof({0}) NOT IN ('blob', 'null')"),
        Kind("any bytes", _bytes, _hex, wrong="typeof({0}) NOT IN ('blob', 'text', 'null')"),
        Kind("date", _date),
        Kind("timestamp", _plain_moment),
        Kind("timestamptz", _zoned_moment, shown=_ISO),
        Kind("time", _time),
        Kind("json", _json, shown="{}::text"),
        Kind("uuid", _uuid),
    )
}  # fmt: skip


def from_postgres(name: str) -> Callable[[Any], Any] | None:
    """Return what makes psycopg2's answer equal to `Kind.value`; None where it is already."""
    if name in BYTES:
        return bytes
    if name.startswith("numeric"):
        return lambda value: value.normalize(_WIDE)
    if name == "timestamptz":
        return lambda value: datetime.fromisoformat(value).isoformat()
    return None
