"""SQLite's expressions in PostgreSQL's words: defaults, checks, index expressions and conditions.

Only what is known to mean the same is rewritten; anything else raises Untranslatable and is said, never
guessed. The server then judges the result, in a savepoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .names import quoted
from .tokens import Token, closing, tokenize


class Untranslatable(Exception):
    """An expression has a part without a sure equal; the message is the part."""


class Named(NamedTuple):
    """A column as expressions see it: its name and type in PostgreSQL."""

    name: str
    type: str


_FUNCTIONS = {
    "LOWER": "lower", "UPPER": "upper", "LENGTH": "length", "ABS": "abs", "COALESCE": "coalesce",
    "IFNULL": "coalesce", "NULLIF": "nullif", "TRIM": "trim", "SUBSTR": "substr", "SUBSTRING": "substr",
    "REPLACE": "replace",
}  # fmt: skip
_WORDS = {"AND", "OR", "NOT", "IN", "NULL", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END", "TRUE", "FALSE"}
_SIGNS = {"==": "=", **{sign: sign for sign in ("=", "!=", "<>", "<", ">", "<=", ">=", "+", "-", "*", "/", "%",
                                                "||", "(", ")", ",")}}  # fmt: skip
_COMPARISONS = ("=", "==", "!=", "<>", "IS")
_BITS = {"0": "false", "1": "true"}


def translated(tokens: Sequence[Token], columns: Mapping[str, Named]) -> str:
    """Return the expression for PostgreSQL.

    Args:
        tokens: of SQLite's text.
        columns: by SQLite's name in lower case.

    Raises:
        Untranslatable: a part has no sure equal.
    """
    out: list[str] = []
    place = 0
    while place < len(tokens):
        bits = _bits(tokens, place, columns)
        if bits:
            out.append(bits[0])
            place += bits[1]
            continue
        out.append(_one(tokens, place, columns))
        place += 1
    return " ".join(out).replace("( ", "(").replace(" )", ")").replace(" ,", ",")


def _one(tokens: Sequence[Token], place: int, columns: Mapping[str, Named]) -> str:
    token = tokens[place]
    following = tokens[place + 1] if place + 1 < len(tokens) else Token("sign", "")
    if token.kind in ("string", "number"):
        return token.text
    if token.kind == "blob":
        return f"'\\x{token.text[2:-1]}'::bytea"
    if token.kind == "word" and following.text == "(" and token.upper in _FUNCTIONS:
        return _FUNCTIONS[token.upper]
    column = columns.get(token.name.lower()) if token.kind in ("word", "quoted") else None
    if column and following.text not in ("(", "."):
        return quoted(column.name)
    if token.kind == "quoted" and token.text.startswith('"') and following.text != ".":
        return "'" + token.name.replace("'", "''") + "'"  # SQLite takes an unknown "name" for a text
    return _keyword(token, following)


def _keyword(token: Token, following: Token) -> str:
    word = token.upper
    if word in _WORDS:
        return word
    if word == "LIKE":
        return "ILIKE"  # SQLite's LIKE does not tell a from A
    if word == "IS":
        return "IS" if following.upper in ("NULL", "NOT", "TRUE", "FALSE") else "IS NOT DISTINCT FROM"
    if word in ("ISNULL", "NOTNULL"):
        return {"ISNULL": "IS NULL", "NOTNULL": "IS NOT NULL"}[word]
    if word in _SIGNS:
        return _SIGNS[word]
    raise Untranslatable(token.text)


def _bits(tokens: Sequence[Token], place: int, columns: Mapping[str, Named]) -> tuple[str, int] | None:
    """Rewrite `flag = 1` and `flag IN (0, 1)` of a boolean column; returns the text and the tokens it took."""
    column = columns.get(tokens[place].name.lower()) if tokens[place].kind in ("word", "quoted") else None
    if column is None or column.type != "boolean":
        return None
    name, rest = quoted(column.name), tokens[place + 1 :]
    if len(rest) >= 2 and rest[0].upper in _COMPARISONS and rest[1].text in _BITS:
        sign = {"==": "=", "IS": "="}.get(rest[0].upper, rest[0].text)
        return f"{name} {sign} {_BITS[rest[1].text]}", 3
    if len(rest) >= 3 and rest[0].upper == "IN" and rest[1].text == "(":
        end = closing(rest, 1)
        listed = [token.text for token in rest[2:end] if token.text != ","]
        if listed and all(text in _BITS for text in listed):
            return f"{name} IN ({', '.join(_BITS[text] for text in listed)})", end + 2
    return None


_UTC = "(now() AT TIME ZONE 'UTC')"
_SHAPES = {
    "CURRENT_TIMESTAMP": "YYYY-MM-DD HH24:MI:SS", "CURRENT_DATE": "YYYY-MM-DD", "CURRENT_TIME": "HH24:MI:SS",
    "WITH MILLISECONDS": "YYYY-MM-DD HH24:MI:SS.MS",
}  # fmt: skip
_NOW = {
    "datetime('now')": "CURRENT_TIMESTAMP", "date('now')": "CURRENT_DATE", "time('now')": "CURRENT_TIME",
    "strftime('%Y-%m-%d %H:%M:%S','now')": "CURRENT_TIMESTAMP", "datetime()": "CURRENT_TIMESTAMP",
    "datetime(current_timestamp)": "CURRENT_TIMESTAMP", "strftime('%Y-%m-%d','now')": "CURRENT_DATE",
    "strftime('%Y-%m-%d %H:%M:%f','now')": "WITH MILLISECONDS",
}  # fmt: skip
_EPOCH = ("strftime('%s','now')", "unixepoch()", "unixepoch('now')", "cast(strftime('%s','now')asinteger)",
          "cast(strftime('%s','now')asint)")  # fmt: skip


def default(text: str, type_name: str) -> str | None:
    """Return a column's default for PostgreSQL; None where it is NULL.

    Raises:
        Untranslatable: as in `translated`.
    """
    tokens = tokenize(text)
    while tokens and tokens[0].text == "(" and closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    spelled = "".join(token.text if token.kind == "string" else token.text.lower() for token in tokens)
    moment = spelled.upper() if spelled.upper() in _SHAPES else _NOW.get(spelled, "")
    if spelled == "null":
        return None
    if moment:
        return _moment(moment, type_name)
    if spelled in _EPOCH and type_name == "bigint":
        return "floor(extract(epoch FROM now()))::bigint"
    value = translated(tokens, {})
    bare = value.strip("'").lower()
    if type_name == "boolean":
        return {**_BITS, "true": "true", "false": "false"}.get(bare, value)
    if type_name == "bigint" and bare in ("true", "false"):
        return str(int(bare == "true"))
    return value


def _moment(word: str, type_name: str) -> str:
    if type_name == "timestamptz":
        return "now()"
    if type_name in ("timestamp", "date", "time"):
        return _UTC if type_name == "timestamp" else f"{_UTC}::{type_name}"
    return f"to_char({_UTC}, '{_SHAPES[word]}')"
