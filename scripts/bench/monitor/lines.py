"""An app's lines that ask the database: a call site is looked for, so they stand in a file of their own."""

from __future__ import annotations

from typing import Any


def ask(cursor: Any, sql: str, times: int) -> None:
    """Ask from a line of its own each, up to 65 times at most five times from each: nothing repeats."""
    if times > 5:
        for _ in range(times // 12):
            _ask_from_twelve_lines(cursor, sql)
        times %= 12
    ask_in_a_loop(cursor, sql, times)


def _ask_from_twelve_lines(cursor: Any, sql: str) -> None:
    cursor.execute(sql, (0,))
    cursor.fetchall()
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
    cursor.execute(sql, (9,))
    cursor.fetchall()
    cursor.execute(sql, (10,))
    cursor.fetchall()
    cursor.execute(sql, (11,))
    cursor.fetchall()


def ask_in_a_loop(cursor: Any, sql: str, times: int) -> None:
    """Ask from one line: above five times, an N+1."""
    for n in range(times):
        cursor.execute(sql, (n % 12,))
        cursor.fetchall()
