"""Which PostgreSQL type a column gets: by what was declared, and by every value that is stored.

SQLite lets any value into any column (https://www.sqlite.org/datatype3.html), so the declaration is only
the first guess; the first type in the list that holds all values is taken.
"""

from __future__ import annotations

import re

_SIZE = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_BY_STORAGE = ["bigint", "double precision", "text", "bytea"]
_DECLARED = {
    "DATE": ["date", "timestamp", "timestamptz", "bigint", "double precision", "text"],
    "DATETIME": ["timestamp", "timestamptz", "date", "bigint", "double precision", "text"],
    "TIMESTAMP": ["timestamp", "timestamptz", "date", "bigint", "double precision", "text"],
    "TIMESTAMPTZ": ["timestamptz", "timestamp", "date", "bigint", "double precision", "text"],
    "TIME": ["time", "text", "bigint"],
    "JSON": ["json", "text"],
    "UUID": ["uuid", "text", "bytea"],
    "STRING": ["text", "any text"],
    "": [*_BY_STORAGE, "numeric"],
}


def candidates(declared: str) -> list[str]:
    """Return the types to try for a declared one, the wished one first."""
    text = declared.upper().strip()
    word = _SIZE.sub("", text).strip()
    if word in _DECLARED:
        return _DECLARED[word]
    if word.startswith("BOOL"):
        return ["boolean", "bigint", "text"]
    if word.startswith(("DATETIME", "TIMESTAMP")):  # TIMESTAMP WITH TIME ZONE, DATETIME_TEXT
        return _DECLARED["TIMESTAMPTZ" if "WITH TIME ZONE" in word else "DATETIME"]
    if word in ("DECIMAL", "NUMERIC", "NUMBER", "MONEY", "DEC"):
        return _decimal(text)
    return _by_affinity(word, text)


def _decimal(text: str) -> list[str]:
    size = _SIZE.search(text)
    if not size or not 0 < int(size[1]) <= 1000 or int(size[2] or 0) > int(size[1]):
        return ["numeric", "double precision"]
    return [f"numeric({int(size[1])},{int(size[2] or 0)})", "numeric", "double precision"]


def _by_affinity(word: str, text: str) -> list[str]:
    """Follow https://www.sqlite.org/datatype3.html, section 3.1, in its order."""
    if "INT" in word or word in ("SERIAL", "BIGSERIAL"):
        return ["bigint"]
    if any(part in word for part in ("CHAR", "CLOB", "TEXT")):
        size = _SIZE.search(text)
        sized = size and "CHAR" in word and 0 < int(size[1]) <= 10485760  # PostgreSQL's most for varchar
        return [f"varchar({int(size[1])})", "text"] if size and sized else ["text"]
    if "BLOB" in word or word in ("BINARY", "VARBINARY", "BYTEA"):
        return ["bytea"]
    if any(part in word for part in ("REAL", "FLOA", "DOUB")):
        return ["double precision"]
    return [*_BY_STORAGE, "numeric"]
