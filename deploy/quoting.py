"""Quotes as PgBouncer's files and SQL have them: a quote inside is doubled.

Knows nothing else. If this is wrong, a value ends early and the rest of it is read as something else.
"""

from __future__ import annotations


def single_quoted(value: str) -> str:
    """Quote a text of SQL, or a value of PgBouncer's [databases]; a backslash is a character as any other."""
    return "'" + value.replace("'", "''") + "'"


def double_quoted(value: str) -> str:
    """Quote a name of SQL, of psql's \\connect and of pg_hba.conf, or a field of userlist.txt."""
    return '"' + value.replace('"', '""') + '"'
