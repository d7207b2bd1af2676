"""SQL expressions that write a value as the app's Python code wrote it: dates, timestamps, decimals.

PostgreSQL's JSON and Flask's `jsonify` differ in a few types (docs/nested.md has the table); clients know the
latter. What is written here equals Python's output letter by letter: `werkzeug.http.http_date`,
`datetime.__str__` and `isoformat`, `str(Decimal)`. Knows nothing of nodes. If this is wrong, a rewrite changes
what clients get.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from .errors import NodeError

DATE, TIME, TIMESTAMP, TIMESTAMPTZ, NUMERIC = 1082, 1083, 1114, 1184, 1700
_ELEMENTS = {1182: DATE, 1183: TIME, 1115: TIMESTAMP, 1185: TIMESTAMPTZ, 1231: NUMERIC}
_CHOICES = {
    "timestamps": ("json", "http", "str", "isoformat"),
    "dates": ("json", "http", "str"),
    "decimals": ("json", "str", "float"),
}


@dataclass(frozen=True)
class Formats:
    """How a document writes values whose JSON is a matter of taste.

    Attributes:
        timestamps: "json", PostgreSQL's own ("2024-03-01T08:20:30.12+00:00"); "http", as Flask
            ("Fri, 01 Mar 2024 08:20:30 GMT"); "str", as json.dumps(default=str); "isoformat".
        dates: "json" ("2024-03-01"); "http", as Flask; "str", as "json" but for the infinities, in Python its
            first and last day.
        decimals: "json", a number with its scale (12.50); "str", as Flask ("12.50"); "float" (12.5).

    Raises:
        NodeError: there is no such format.
    """

    timestamps: str = "json"
    dates: str = "json"
    decimals: str = "json"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in _CHOICES[field.name]:
                choices = ", ".join(_CHOICES[field.name])
                raise NodeError(f"Formats.{field.name}={value!r} is not one of {choices}")


FLASK_JSON = Formats(timestamps="http", dates="http", decimals="str")
STR_JSON = Formats(timestamps="str", dates="str", decimals="str")


def expression(formats: Formats, value: str, oid: int, scale: Any) -> str | None:
    """Return the SQL that writes a value so, None where PostgreSQL's own JSON is the same.

    Args:
        formats: how.
        value: the value, as SQL.
        oid: of its type.
        scale: digits behind the point that its type allows; None when it does not say.
    """
    element = _ELEMENTS.get(oid)
    if element is not None:
        each = expression(formats, "u.x", element, scale)
        # An array of nulls is one, and a null is none.
        items = f"ARRAY(SELECT {each} FROM unnest({value}) WITH ORDINALITY u (x, place) ORDER BY u.place)"
        return f"CASE WHEN {value} IS NOT NULL THEN {items} END" if each else None
    if oid == NUMERIC:
        return _decimal(formats.decimals, value, scale)
    if oid == DATE:
        return _date(formats.dates, value)
    if oid == TIME:
        return f"{value}::text || {_padding(value)}" if formats.timestamps in ("str", "isoformat") else None
    if oid in (TIMESTAMP, TIMESTAMPTZ):
        return _timestamp(formats.timestamps, value, oid)
    return None


def _date(style: str, value: str) -> str | None:
    if style == "str":
        return (
            f"CASE {value} WHEN 'infinity' THEN '9999-12-31' WHEN '-infinity' THEN '0001-01-01' "
            f"ELSE to_char({value}, 'YYYY-MM-DD') END"
        )
    return _http(value, "00:00:00") if style == "http" else None


def _timestamp(style: str, value: str, oid: int) -> str | None:
    if style == "http":
        return _http(f"({value} AT TIME ZONE 'UTC')" if oid == TIMESTAMPTZ else value, "23:59:59")
    if style == "json":
        return None
    zone = "TZH:TZM" if oid == TIMESTAMPTZ else ""
    between = " " if style == "str" else '"T"'
    whole, fraction = (f"to_char({value}, 'YYYY-MM-DD{between}HH24:MI:SS{part}{zone}')" for part in ("", ".US"))
    offset = "+00:00" if zone else ""  # psycopg2 gives the infinities in UTC, whatever the session's zone
    last, first = (
        _written(style, text) + offset for text in ("9999-12-31 23:59:59.999999", "0001-01-01 00:00:00")
    )
    return (
        f"CASE {value} WHEN 'infinity' THEN '{last}' WHEN '-infinity' THEN '{first}' "
        f"WHEN date_trunc('second', {value}) THEN {whole} ELSE {fraction} END"
    )


def _written(style: str, text: str) -> str:
    return text if style == "str" else text.replace(" ", "T")


def _http(value: str, last: str) -> str:
    """Write as werkzeug does; what psycopg2 makes of the infinities are Python's first and last moments."""
    return (
        f"CASE {value} WHEN 'infinity' THEN 'Fri, 31 Dec 9999 {last} GMT' "
        f"WHEN '-infinity' THEN 'Mon, 01 Jan 0001 00:00:00 GMT' "
        f"ELSE to_char({value}, 'Dy, DD Mon YYYY HH24:MI:SS \"GMT\"') END"
    )


def _padding(value: str) -> str:
    """Return the zeros that Python writes behind a fraction and PostgreSQL does not."""
    digits = f"length({value}::text)"
    return f"CASE WHEN {digits} > 8 THEN repeat('0', 15 - {digits}) ELSE '' END"


def _decimal(style: str, value: str, scale: Any) -> str | None:
    if style == "json":
        return None
    if style == "float":
        return f"{value}::float8"
    text = f"{value}::text"
    if isinstance(scale, int) and 0 <= scale <= 6:
        return text
    # str(Decimal) turns to exponents where more than five zeros would follow the point.
    digits = f"coalesce(nullif(ltrim(translate({text}, '-.', ''), '0'), ''), '0')"
    mantissa = f"left({digits}, 1) || CASE WHEN length({digits}) > 1 THEN '.' ELSE '' END || substr({digits}, 2)"
    exponent = f"(scale({value}) - length({digits}) + 1)"
    return (
        f"CASE WHEN abs({value}) >= 0.000001 OR scale({value}) <= 6 THEN {text} "
        f"ELSE CASE WHEN {value} < 0 THEN '-' ELSE '' END || {mantissa} || 'E-' || {exponent} END"
    )
