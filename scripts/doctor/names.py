"""Names of things in a database, as SQL and as people write them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from pglast.keywords import COL_NAME_KEYWORDS, RESERVED_KEYWORDS, TYPE_FUNC_NAME_KEYWORDS

LONGEST = 63  # bytes; PostgreSQL cuts longer ones in silence
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# Those that cannot be the name of a column or a table without quotes.
_RESERVED = RESERVED_KEYWORDS | COL_NAME_KEYWORDS | TYPE_FUNC_NAME_KEYWORDS


def quoted(name: str) -> str:
    """Return a name as SQL writes it; in quotes only where it needs them."""
    return name if _PLAIN.fullmatch(name) and name not in _RESERVED else '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """Return `schema.name` as SQL writes it."""
    return f"{quoted(schema)}.{quoted(name)}"


def literal(text: str) -> str:
    """Return a text as an SQL literal, whatever standard_conforming_strings is."""
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def made_name(parts: Iterable[str], taken: Iterable[str] = (), end: str = "idx") -> str:
    """Return a name for a new index: its parts joined, short enough, and not taken.

    A name that had to be cut, or is taken, gets eight hexadecimal digits of all of its parts.

    Args:
        parts: the table and the columns.
        taken: names in the same schema.
    """
    parts = [re.sub(r"[^\w]+", "_", part).strip("_") for part in parts]
    whole = "_".join(filter(None, [*parts, end]))
    if len(whole.encode()) <= LONGEST and whole not in set(taken):
        return whole
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
    room = LONGEST - len(digest) - len(end) - 2
    start = "_".join(filter(None, parts)).encode()[:room].decode("utf-8", "ignore").rstrip("_")
    return f"{start}_{digest}_{end}"
