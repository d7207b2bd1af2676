"""Which rewrite fits a query that repeats, and how it would look.

Knows nothing of requests. If this is wrong, people are sent the wrong way; nothing else depends on it.
"""

from __future__ import annotations

import re

from .events import QueryGroup

_NAME = r'(?:"[^"]*"|[\w$]+)'
_BY_KEY = re.compile(
    rf"\bwhere\s+(?P<name>(?:{_NAME}\.)?(?P<column>{_NAME}))\s*=\s*(?:\?|%s)(?:::[\w.]+)?(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_TABLE = re.compile(rf"\bfrom\s+(?:only\s+)?(?P<table>{_NAME}(?:\.{_NAME})?)(?![\w$.]|\s*\()", re.IGNORECASE)
_VALUE = re.compile(r"=\s*(?:\?|%s)")
_SINGLE = re.compile(r"\s*(?:limit\s+(?:\?|1))?\s*;?\s*", re.IGNORECASE)  # nothing more than the key is asked for
_ALIAS = re.compile(rf"\s*(?:as\s+)?(?:{_NAME})?\s*", re.IGNORECASE)  # of the only table
_LIMIT = re.compile(r" limit (?:\?|1);?\Z")
_FIGURES = re.compile(r"select (?!distinct\b).*\b(?:count|sum|avg|min|max|every|bool_and|bool_or|\w+_agg)\(")
_CALLS = re.compile(r"select [\w.]+\([^()]*\)(?: as \w+)?")
_ENDED = re.compile(r"\b(?:group by|order by|having|limit|offset|fetch|union|over)\b|;")
_LOCKS = re.compile(r"\bfor (?:no key )?update\b|\bfor (?:key )?share\b")
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
    if _CALLS.fullmatch(text):
        return "one call per row: call it for all of them by one statement, SELECT f(id) FROM unnest(%s) AS id", ""
    table = _TABLE.search(text)
    key = _BY_KEY.search(text, table.end()) if table is not None else None  # not the WHERE of a FILTER
    if key is None or table is None or text.count("select") > 1:
        return AT_ONCE, ""
    if _LOCKS.search(text):
        return "one lock per row: take all of them by one statement, = ANY(%s) with an ORDER BY", ""
    is_figure = _FIGURES.match(text) is not None
    whole = _LIMIT.sub("", _compared(text, key, "any(%s)"))
    if is_figure and not _ENDED.search(whole):
        figures = f"select {key['name']}, {whole[len('select ') :]} group by {key['name']}"
        return "one figure per row: GROUP BY gets all of them at once, but for ids without rows", figures
    name, column = table["table"], key["column"].strip('"')
    is_one_table = _ALIAS.fullmatch(text, table.end(), key.start()) is not None
    if not is_figure and group.rows <= group.count and _SINGLE.fullmatch(key["rest"]) and is_one_table:
        by = "" if column == "id" else f", key={column!r}"
        sketch = f"found = fetch_by_ids(conn, {name.replace(chr(34), '')!r}, ids{by})"
        return "one row by key each time: fetch_by_ids() gets them all at once", sketch
    nested = _compared(text, key, "parent.id")
    return "one query per row: make it a child of the outer query with many()", f'many("""{nested}""")'


def _compared(text: str, key: re.Match[str], value: str) -> str:
    """Return a statement with another value for its key."""
    return text[: key.start()] + _VALUE.sub(f"= {value}", text[key.start() :], count=1)
