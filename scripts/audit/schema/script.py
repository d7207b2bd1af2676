"""Finds the DDL in an SQL script: psql's commands, data and function bodies are jumped over.

Made for dumps of many megabytes: only statements that begin with CREATE, ALTER or DROP are cut out. MySQL's
scripts are told by their words and give nothing, since their engine makes indexes that no statement names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_START = re.compile(
    r"/\*.*?\*/|^COPY\s[^\n]*\bFROM\s+stdin\b.*?^\\\.$|^[ \t]*(?P<ddl>(?:CREATE|ALTER|DO)\b)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_NEXT = re.compile(r"(?:\s|--[^\n]*\n)*(?P<ddl>(?:CREATE|ALTER)\b)", re.IGNORECASE)
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$|;", re.DOTALL)
_WANTED = re.compile(
    r"(?:CREATE\s+(?:(?:GLOBAL|LOCAL|UNLOGGED|TEMP|TEMPORARY|FOREIGN)\s+)*TABLE|CREATE\s+(?:UNIQUE\s+)?INDEX"
    r"|ALTER\s+TABLE)\b",
    re.IGNORECASE,
)
_MYSQL = re.compile(r"\bENGINE\s*=|\bAUTO_INCREMENT\b|CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?`", re.IGNORECASE)
LONGEST = 200_000  # characters of one statement


def ddl(script: str) -> Iterator[tuple[str, int]]:
    """Yield the statements about tables and indexes, without their semicolon, and where each begins."""
    if _MYSQL.search(script):
        return
    found = _START.search(script)
    while found:
        if found["ddl"] is None:
            found = _START.search(script, found.end())
            continue
        start, end = found.start("ddl"), _end(script, found.start("ddl"))
        if _WANTED.match(script, start) and end - start < LONGEST:
            yield script[start:end], start
        found = _NEXT.match(script, end + 1) or _START.search(script, end)


def _end(script: str, start: int) -> int:
    """Return where the statement's semicolon is."""
    for token in _TOKEN.finditer(script, start):
        if token[0] == ";":
            return token.start()
    return len(script)
