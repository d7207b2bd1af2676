"""A SQLite file of a chosen size, with every storage class.

`python -m tests.scripts.sqlite_to_postgres.scaled FILE MB`

Same arguments, same rows. Not a test: for a rate and a peak of memory on the machine at hand.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

ROW = 430  # bytes a row takes in the file, roughly
SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT COLLATE NOCASE NOT NULL UNIQUE,
    active BOOLEAN NOT NULL DEFAULT 1, joined DATE);
CREATE TABLE events (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers(id),
    at DATETIME NOT NULL,
    amount DECIMAL(12,2), ratio REAL, body TEXT, raw BLOB);
CREATE INDEX events_customer ON events (customer_id, at DESC);
"""


def write(path: str, megabytes: float) -> int:
    """Write the file; returns the rows of `events`."""
    rows = int(megabytes * 1e6 / ROW)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode = off")
        conn.executescript(SCHEMA)
        customers = max(1, rows // 50)
        people = (
            (i, f"User{i}@example.org", i % 2, f"20{i % 24:02}-0{i % 9 + 1}-11") for i in range(1, customers + 1)
        )
        conn.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", people)
        conn.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", _events(rows, customers))
        conn.commit()
    return rows


def _events(rows: int, customers: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(7)
    text = "Zeile mit \u00e9, Tab\t, Umbruch\n und \\ darin; " * 6
    for i in range(1, rows + 1):
        moment = f"2024-{i % 12 + 1:02}-{i % 28 + 1:02} {i % 24:02}:{i % 60:02}:00.{i % 1000000:06}"
        yield (i, i % customers + 1, moment, i % 100_000 / 100, chance.random(), text[: 150 + i % 100],
               chance.randbytes(60) if i % 3 else None)  # fmt: skip


if __name__ == "__main__":
    print(f"{write(sys.argv[1], float(sys.argv[2])):,} rows")
