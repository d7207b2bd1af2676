"""Names in PostgreSQL for SQLite's: in lower case, at most 63 bytes, none twice, quoted where they must be.

Both engines take an unquoted name in any case, and PostgreSQL folds it to lower case: so `SELECT * FROM
Users` finds `users` in the copy, and would not find `"Users"`. If this is wrong, the app's own SQL does not
find its tables.
"""

from __future__ import annotations

import hashlib
import re

from pglast.keywords import COL_NAME_KEYWORDS, RESERVED_KEYWORDS, TYPE_FUNC_NAME_KEYWORDS

LONGEST = 63  # bytes: NAMEDATALEN - 1
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*\Z")
_FOLDABLE = re.compile(r"[^\W\d][\w$]*\Z")
_KEYWORDS = {*RESERVED_KEYWORDS, *COL_NAME_KEYWORDS, *TYPE_FUNC_NAME_KEYWORDS}
_SYSTEM_COLUMNS = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}
_UPPER_ASCII = {ordinal: ordinal + 32 for ordinal in range(ord("A"), ord("Z") + 1)}


def quoted(name: str) -> str:
    """Return a name for SQL; quoted unless it is plain, so that DDL on paper stays readable."""
    if _PLAIN.match(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def folded(name: str, keep_case: bool = False) -> str:
    """Return the name that PostgreSQL would read where SQL does not quote it.

    A name with a space or a sign is always quoted by who uses it, and keeps its case.
    """
    own = name if keep_case or not _FOLDABLE.match(name) else name.translate(_UPPER_ASCII)
    return shortened(own)


def column_name(name: str, keep_case: bool = False) -> str:
    """Return a column's name; one of PostgreSQL's own hidden columns gets a line after it."""
    own = folded(name, keep_case)
    return own + "_" if own in _SYSTEM_COLUMNS else own


def shortened(name: str) -> str:
    """Return at most 63 bytes; two long names with one beginning stay two."""
    if len(name.encode()) <= LONGEST:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name.encode()[: LONGEST - 9].decode(errors="ignore") + "_" + mark
