"""Which rewrite fits a query that repeats, and how it would look.

Knows nothing of requests. If this is wrong, people are sent the wrong way; nothing else depends on it.
"""

from __future__ import annotations

import re

from .events import QueryGroup

_NAME = r'(?:"[^"]*"|[\w$]+)'
_BY_KEY = re.compile(
    rf"\bwhere\s+(?:{_NAME}\.)?(?P<column>{_NAME})\s*=\s*(?:\?|%s)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_TABLE = re.compile(rf"\bfrom\s+(?:only\s+)?(?P<table>{_NAME}(?:\.{_NAME})?)(?![\w$.]|\s*\()", re.IGNORECASE)
_SINGLE = re.compile(r"\s*(?:limit\s+(?:\?|1))?\s*;?\s*", re.IGNORECASE)  # nothing more than the key is asked for
WRITES = {
    "INSERT": "insert_many() or execute_values()",
    "UPDATE": "execute_many()",
    "DELETE": "one DELETE ... WHERE id = ANY(%s)",
    "MERGE": "upsert_many()",
}
AT_ONCE = "ask for all of them at once: many() in one nested query, or fetch_by_ids()"


def advice_for(group: QueryGroup) -> tuple[str, str]:
    """Return what to do instead, and a sketch of it in code; the sketch is "" where none can be made."""
    kind = group.statement.kind
    if group.method == "executemany":
        return "executemany sends one statement per row: use insert_many() or execute_values()", ""
    if kind in WRITES:
        return f"write all rows by one statement: {WRITES[kind]}", ""
    if group.is_same:
        return "it asks the same each time: ask once before the loop, or use query_cache()", ""
    if group.method == "callproc" or kind == "CALL":
        return "one call per row: give the function an array of ids, and call it once", ""
    return _advice_for_read(group)


def _advice_for_read(group: QueryGroup) -> tuple[str, str]:
    text = group.statement.text
    key, table = _BY_KEY.search(text), _TABLE.search(text)
    if key is None or table is None or text.count("select") > 1:
        return AT_ONCE, ""
    name, column = table["table"], key["column"].strip('"')
    is_one_row = group.rows <= group.count and _SINGLE.fullmatch(key["rest"])
    if is_one_row and " join " not in text:
        by = "" if column == "id" else f", key={column!r}"
        sketch = f"found = fetch_by_ids(conn, {name.replace(chr(34), '')!r}, ids{by})"
        return "one row by key each time: fetch_by_ids() gets them all at once", sketch
    nested = text[: key.start()] + re.sub(r"=\s*(?:\?|%s)", "= parent.id", text[key.start() :], count=1)
    return "one query per row: make it a child of the outer query with many()", f'many("""{nested}""")'
