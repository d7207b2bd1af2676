"""The statement that adds an index to a table in use, as a rule's fix.

CONCURRENTLY takes no lock that stops writes, and must stand outside a transaction; a timeout on locks keeps a
queue from building up behind it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
LONGEST_NAME = 63  # characters; PostgreSQL cuts longer ones


def create_index(table: str, keys: Sequence[str], using: str = "") -> str:
    """Return the statement; `keys` are columns or expressions such as "lower(email)"."""
    name = "_".join([table, *(re.sub(r"\W+", "_", key).strip("_") for key in keys), "idx"])[-LONGEST_NAME:]
    columns = ", ".join(_quoted(key) if "(" not in key else key for key in keys)
    if using == "trigram":
        columns, using = f"{columns} gin_trgm_ops", " USING gin"
    return f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {_quoted(name)} ON {_quoted(table)}{using} ({columns});"


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
