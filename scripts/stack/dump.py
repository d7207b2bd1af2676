"""What a plain pg_dump expects of the server it is loaded into: the roles of the one it came from."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

HEADER = "-- PostgreSQL database dump"
IDENTIFIER = r'(?P<role>"(?:[^"]|"")+"|\w+)'
STATEMENTS = (
    re.compile(rf"ALTER .* OWNER TO {IDENTIFIER};"),
    re.compile(rf"(?:GRANT|REVOKE) .* (?:TO|FROM) {IDENTIFIER}(?: WITH GRANT OPTION)?;"),
    re.compile(rf"ALTER DEFAULT PRIVILEGES FOR ROLE {IDENTIFIER} .*;"),
)
EVERYWHERE = ("PUBLIC", "pg_database_owner")


def roles_of_dump(file: Path) -> list[str]:
    """Return the roles that a dump gives its objects to, in order; pg_dump names them and never makes them.

    Any other SQL file has none: it makes its own roles, and must find them missing.
    """
    roles = {}
    with file.open(encoding="utf-8", errors="replace") as lines:
        head = [next(lines, "") for _ in range(5)]
        if f"{HEADER}\n" not in head:
            return []
        for line in chain(head, lines):
            found = next(filter(None, (statement.fullmatch(line.rstrip()) for statement in STATEMENTS)), None)
            if found is not None and found["role"] not in EVERYWHERE:
                roles[_unquoted(found["role"])] = None
    return list(roles)


def _unquoted(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier
