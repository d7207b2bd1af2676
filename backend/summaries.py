"""What a statement does and to which tables, in a few words: for labels, so names only and few of them.

It reads the normalised text. The names of `WITH` are no tables; tables within a function's brackets may be missed.
Knows nothing of values or caches. If this is wrong, a label is misleading; nothing else depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_SHOWN = 80  # characters of a summary
MOST_TABLES = 4
MOST_PLACES = 50  # where tables may be named
VERBS = frozenset({
    "ABORT", "ALTER", "ANALYZE", "BEGIN", "CALL", "CHECKPOINT", "CLOSE", "CLUSTER", "COMMENT", "COMMIT", "COPY",
    "CREATE", "DEALLOCATE", "DECLARE", "DELETE", "DISCARD", "DO", "DROP", "END", "EXECUTE", "EXPLAIN", "FETCH",
    "GRANT", "IMPORT", "INSERT", "LISTEN", "LOAD", "LOCK", "MERGE", "MOVE", "NOTIFY", "PREPARE", "REASSIGN",
    "REFRESH", "REINDEX", "RELEASE", "RESET", "REVOKE", "ROLLBACK", "SAVEPOINT", "SECURITY", "SELECT", "SET",
    "SHOW", "START", "TABLE", "TRUNCATE", "UNLISTEN", "UPDATE", "VACUUM", "VALUES", "WITH",
})  # fmt: skip


def verb_of(text: str) -> str:
    """Return what a normalised statement does, in upper case: of `with ... insert` it is INSERT.

    OTHER for what begins with no command of PostgreSQL's, EMPTY for what has no word.
    """
    words = text[:40].lstrip(" (;").split(None, 1)
    if not words:
        return "EMPTY"
    verb = words[0].partition("(")[0].strip(";,)").upper()
    if verb == "WITH":
        return _verb_after_with(text)
    return verb if verb in VERBS else "OTHER"


_DEPTH = re.compile(r"[()]|(?<![\w.$])(?:select|insert|update|delete|merge|values)(?![\w$.])")


def _verb_after_with(text: str) -> str:
    depth = 0
    for found in _DEPTH.finditer(text):
        mark = found[0]
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth -= 1
        elif depth <= 0:
            return mark.upper()
    return "WITH"


_NAME = r'(?:"[^"]*"|[^\W\d][\w$]*)(?:\.(?:"[^"]*"|[^\W\d][\w$]*)){0,2}'
_WORDS = (
    " from ", " join ", " into ", " update ", "(update ", " using ", " call ", " copy ", " truncate ", " table ",
    "(table ",
)  # fmt: skip
_WITH_COLUMNS = {" into ", " call ", " copy ", " table ", "(table "}  # a bracket after the name makes no function
_TABLE = re.compile(rf"(?:if (?:not )?exists )?(?:table )?(?:only )?(?:lateral )?({_NAME})")
_NEXT = re.compile(r"(?: as)?(?: [^\W\d]\w*)?, (?:only |lateral )?")
_WITHIN_CALL = re.compile(r"(?<![\w$])(?:extract|trim|substring|overlay)\([^()]* from ")
_CTE = re.compile(rf"(?:with|with recursive|,) ({_NAME})(?:\([^()]*\))? as (?:not )?(?:materialized)? ?\(")
_NO_TABLES = frozenset(
    {"set", "skip", "nowait", "of", "cascade", "select", "values", "stdin", "stdout", "lateral"}
)


def summary_of(verb: str, text: str) -> str:
    """Return what a normalised statement does to which tables: names only, at most 80 characters."""
    if "(" in text and " from " in text:
        text = _WITHIN_CALL.sub("", text)
    hidden = _NO_TABLES.union(_CTE.findall(text)) if text.startswith("with ") else _NO_TABLES
    text = f" {text}"
    places: list[tuple[int, str]] = []
    for word in _WORDS:
        at = text.find(word)
        while at >= 0 and len(places) < MOST_PLACES:
            places.append((at, word))
            at = text.find(word, at + len(word) - 1)
    named = [name for at, word in sorted(places) for name in _tables(text, at, word) if name not in hidden]
    return _short([verb, *list(dict.fromkeys(named))[:MOST_TABLES]])


def _tables(text: str, at: int, word: str) -> Iterator[str]:
    """Yield the names that a word such as `from` introduces, up to the first that is no table's."""
    if text[at - 8 : at] == "distinct":
        return
    at += len(word)
    while (found := _TABLE.match(text, at)) is not None:
        at = found.end()
        if text[at : at + 1] == "(" and word not in _WITH_COLUMNS:
            return
        yield found[1].replace('"', "") if '"' in found[1] else found[1]
        after = _NEXT.match(text, at)
        if after is None:
            return
        at = after.end()


def _short(words: list[str]) -> str:
    while len(words) > 1 and sum(map(len, words)) + len(words) - 1 > MOST_SHOWN:
        words.pop()
    return " ".join(words)
