"""One statement on a connection, in one line."""

from __future__ import annotations

from typing import Any


def query(conn: Any, statement: str, *values: Any) -> Any:
    """Run a statement and return the first column of its first row."""
    with conn.cursor() as cursor:
        cursor.execute(statement, values or None)
        row = cursor.fetchone()
    return next(iter(row.values())) if isinstance(row, dict) else row[0]


def run(conn: Any, statement: str, *values: Any) -> None:
    """Run a statement, whatever it answers."""
    with conn.cursor() as cursor:
        cursor.execute(statement, values or None)


def backend(conn: Any) -> int:
    """Return the process id of the connection's server side, as the server says it."""
    return int(query(conn, "SELECT pg_backend_pid()"))
