"""What can be said of SQL that does not parse: its words, outside strings and comments.

Used when a hole leaves nothing to parse. If it is wrong, a broken statement is taken for another kind.
"""

from __future__ import annotations

import re

_NOISE = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|\$\$.*?\$\$", re.DOTALL)
_TABLE = r'\s+(?:only\s+)?(?:if\s+(?:not\s+)?exists\s+)?(?:"?\w+"?\.)?"?([a-z_]\w*)"?'
_READ = re.compile(r"\b(?:from|join)" + _TABLE, re.IGNORECASE)
_WRITTEN = re.compile(r"\b(?:insert\s+into|update|delete\s+from|truncate(?:\s+table)?)" + _TABLE, re.IGNORECASE)
_LIMIT = re.compile(r"\b(limit|fetch\s+(first|next))\b", re.IGNORECASE)
_KINDS = {
    "select": "select", "with": "select", "values": "select", "table": "select", "insert": "insert",
    "update": "update", "delete": "delete", "merge": "merge", "begin": "begin", "start": "begin",
    "commit": "commit", "end": "commit", "rollback": "rollback", "abort": "rollback", "set": "set",
    "reset": "set", "discard": "set", "listen": "listen", "unlisten": "listen", "notify": "notify",
    "copy": "copy", "call": "call", "do": "do", "explain": "explain", "show": "show", "create": "ddl",
    "alter": "ddl", "drop": "ddl", "truncate": "ddl", "grant": "ddl", "revoke": "ddl", "comment": "ddl",
    "lock": "lock", "prepare": "prepare", "declare": "declare", "savepoint": "savepoint", "release": "savepoint",
    "vacuum": "ddl", "analyze": "ddl", "reindex": "ddl", "refresh": "ddl",
}  # fmt: skip


def plain(sql: str) -> str:
    """Return SQL without comments, its strings emptied."""
    return _NOISE.sub(lambda match: "''" if match[0].startswith("'") else " ", sql)


def kind(sql: str) -> str:
    """Return what kind of statement it begins as; "" when it is none."""
    first = re.match(r"[\s(]*([a-zA-Z]+)", plain(sql))
    return _KINDS.get(first[1].lower(), "") if first else ""


def tables(sql: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the tables that it reads and those that it writes."""
    bare = plain(sql)
    written = [name.lower() for name in _WRITTEN.findall(bare)]
    read = [name.lower() for name in _READ.findall(bare) if name.lower() not in written]
    return tuple(dict.fromkeys(read)), tuple(dict.fromkeys(written))


def has_limit(sql: str) -> bool:
    """Whether a LIMIT or FETCH FIRST stands anywhere in it."""
    return bool(_LIMIT.search(plain(sql)))
