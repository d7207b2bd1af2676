"""An app's lines that ask the database: a call site is looked for, so they stand in a file of their own."""

from __future__ import annotations

from typing import Any


def ask(cursor: Any, sql: str, times: int) -> None:
    """Ask from few lines, at most five times from each: nothing repeats."""
    if times <= 5:
        return ask_in_a_loop(cursor, sql, times)
    for _ in range(times // 10):
        for n in range(2):
            cursor.execute(sql, (n,))
            cursor.fetchall()
        _ask_from_others(cursor, sql)
    return ask_in_a_loop(cursor, sql, times % 10)


def _ask_from_others(cursor: Any, sql: str) -> None:
    cursor.execute(sql, (1,))
    cursor.fetchall()
    cursor.execute(sql, (2,))
    cursor.fetchall()
    cursor.execute(sql, (3,))
    cursor.fetchall()
    cursor.execute(sql, (4,))
    cursor.fetchall()
    cursor.execute(sql, (5,))
    cursor.fetchall()
    cursor.execute(sql, (6,))
    cursor.fetchall()
    cursor.execute(sql, (7,))
    cursor.fetchall()
    cursor.execute(sql, (8,))
    cursor.fetchall()


def ask_in_a_loop(cursor: Any, sql: str, times: int) -> None:
    """Ask from one line: above five times, an N+1."""
    for n in range(times):
        cursor.execute(sql, (n,))
        cursor.fetchall()
