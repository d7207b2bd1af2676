"""Which rewrite fits a query that repeats, and how it would look.

Knows nothing of requests. If this is wrong, people are sent the wrong way; nothing else depends on it.
"""

from __future__ import annotations

import re

from .events import QueryGroup

_BY_KEY = re.compile(r'where\s+(?:(?P<alias>[\w$]+)\.)?(?P<column>"[^"]+"|[\w$]+)\s*=\s*(?:\?|%s)', re.IGNORECASE)
_TABLE = re.compile(r'\bfrom\s+(?:only\s+)?(?P<table>(?:"[^"]*"|[\w$]+)(?:\.(?:"[^"]*"|[\w$]+))?)', re.IGNORECASE)
WRITES = {
    "INSERT": "insert_many() or execute_values()",
    "UPDATE": "execute_many()",
    "DELETE": "one DELETE ... WHERE id = ANY(%s)",
}


def advice_for(group: QueryGroup) -> tuple[str, str]:
    """Return what to do instead, and a sketch of it in code; the sketch is "" where none can be made."""
    kind = group.statement.kind
    if group.method == "executemany":
        return "executemany sends one statement per row: use insert_many() or execute_values()", ""
    if kind in WRITES:
        return f"write all rows by one statement: {WRITES[kind]}", ""
    if group.is_same:
        return "it asks the same each time: ask once before the loop, or use query_cache()", ""
    text = group.statement.text
    key, table = _BY_KEY.search(text), _TABLE.search(text)
    if key is None or table is None:
        return "ask for all of them at once: many() in one nested query, or fetch_by_ids()", ""
    name, column = table["table"], key["column"]
    if column == "id" and group.rows <= group.count:
        sketch = f"found = fetch_by_ids(conn, {name.replace(chr(34), '')!r}, ids)"
        return "one row by key each time: fetch_by_ids() gets them all at once", sketch
    nested = text[: key.start()] + _correlated(text[key.start() :])
    return "one query per row: make it a child of the outer query with many()", f'many("""{nested}""")'


def _correlated(condition: str) -> str:
    return re.sub(r"=\s*(?:\?|%s)", "= parent.id", condition, count=1)
