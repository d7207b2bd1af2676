"""What to write in place of a statement per turn: the statement for all of them, from the statement that is there.

Only the plain forms are rewritten (`... WHERE column = %s`); for anything else the advice names the tool alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .reached import Reached

_ONE_KEY = re.compile(
    r"^(?P<head>(select|delete)\b.*?\bfrom\s+(?P<table>[\w.\"]+)(\s+(as\s+)?(?!where\b)\w+)?\s+where\b\s*)(?P<open>\(*\s*)"
    r"(?P<column>[\w.\"]+)\s*=\s*\(?\s*(%s|%\(\w+\)s|'?\.\.\.'?)[\s)]*(limit\s+1)?$",
    re.IGNORECASE,
)
_TABLE = re.compile(r"\b(?:from|into|update)\s+([\w.\"]+)", re.IGNORECASE)
LONGEST = 140
MOST = 3  # statements rewritten in one piece of advice


def kind(query: Reached) -> str:
    """Return a statement's first word in capitals, "" when it is not known."""
    word = re.match(r"\(*\s*(\w+)", query.whole)
    return word[1].upper() if word else ""


def table(query: Reached) -> str:
    """Return the first table that a statement names."""
    found = _TABLE.search(query.whole)
    return found[1].strip('"') if found else ""


def for_all(query: Reached) -> str:
    """Return the statement for a list of keys; "" when it is not one of the plain forms."""
    match = _ONE_KEY.match(query.whole)
    if match is None or ";" in query.whole:
        return ""
    head, column = match["head"].rstrip(), match["column"]
    listed = re.match(r"select\s+(.*?)\s+from\b", head, re.IGNORECASE)
    bare = column.rpartition(".")[2].strip('"').lower()
    if listed and "*" not in listed[1] and bare not in re.findall(r"\w+", listed[1].lower()):
        head = f"{head[: listed.end(1)]}, {column}{head[listed.end(1) :]}"
    found = f"{head} {column} = ANY(%s)"
    return found if len(found) <= LONGEST else ""


def advice(queries: Iterable[Reached]) -> str:
    """Return how these statements become one each for all turns."""
    by_kind: dict[str, list[Reached]] = {}
    for query in queries:
        by_kind.setdefault(
            {"INSERT": "INSERT", "DELETE": "DELETE", "UPDATE": "UPDATE", "MERGE": "UPDATE"}.get(kind(query), ""),
            [],
        ).append(query)
    return " ".join(_ADVICE[word](found) for word, found in sorted(by_kind.items(), reverse=True))


def _rewritten(queries: list[Reached], otherwise: str) -> str:
    found = list(dict.fromkeys(filter(None, map(for_all, queries))))[:MOST]
    return ", ".join(f"`{each}`" for each in found) or otherwise


def _insert(queries: list[Reached]) -> str:
    tables = [each for each in dict.fromkeys(map(table, queries)) if each][:MOST]
    tools = ", ".join(f'`insert_many(conn, "{each}", rows)`' for each in tables) or "`insert_many`"
    return f"Collect the rows and write them once: {tools}, or psycopg2's `execute_values`."


def _delete(queries: list[Reached]) -> str:
    statements = _rewritten(queries, "`DELETE ... WHERE id = ANY(%s)`")
    return f"Delete once for all of them, with the list of keys: {statements}."


def _update(queries: list[Reached]) -> str:
    return "Update once for all: `UPDATE ... FROM (VALUES %s)` by `execute_values`, or `execute_many`."


def _select(queries: list[Reached]) -> str:
    statements = _rewritten(queries, "`SELECT ... WHERE id = ANY(%s)`")
    return (
        f"Read once before the loop, with the list of keys: {statements}; then look up in a dict (`fetch_by_ids`,"
        " `fetch_grouped`), or nest with `many(...)` where the route returns JSON."
    )


_ADVICE = {"INSERT": _insert, "DELETE": _delete, "UPDATE": _update, "": _select}
