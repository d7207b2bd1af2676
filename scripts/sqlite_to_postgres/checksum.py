"""A table's checksum: equal on both sides exactly when both hold the same rows, in whatever order.

Each row is hashed to 128 bits and the hashes are added modulo 2**128 (a multiset hash), so neither side sorts.
PostgreSQL's side is read back from the server through a cursor and shares nothing with the way in but the hash.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from psycopg2.extensions import connection as Connection

from .copying import rows
from .kinds import from_postgres, kind_of
from .names import quoted as pg_quoted
from .plan import NewTable

_MODULUS = 1 << 128
BATCH = 2000  # rows fetched at once
Convert = Callable[[Any], Any]


class Sum(NamedTuple):
    """Rows and the sum of their hashes, in hex."""

    rows: int
    checksum: str


def of_source(connection: sqlite3.Connection, table: NewTable, say: Callable[[int], None]) -> Sum:
    """Read the table from SQLite once more."""
    converts: list[Convert | None] = [kind_of(column.kind).value for column in table.columns]
    return _sum(rows(connection, table, BATCH, say), converts)


def of_target(
    connection: Connection, place: str, columns: Iterable[tuple[str, str]], say: Callable[[int], None]
) -> Sum:
    """Read the table back from PostgreSQL; `columns` are names and kinds."""
    listed = list(columns)
    shown = ", ".join(kind_of(kind).shown.format(pg_quoted(name)) for name, kind in listed)
    with connection.cursor("harden_sqlite_check") as cursor:
        cursor.itersize = BATCH
        cursor.execute(f"SELECT {shown} FROM {place}")
        return _sum(_counted(cursor, say), [from_postgres(kind) for _, kind in listed])


def _counted(found: Iterable[tuple[Any, ...]], say: Callable[[int], None]) -> Iterable[tuple[Any, ...]]:
    for number, row in enumerate(found):
        if not number % BATCH:
            say(number)
        yield row


def _sum(found: Iterable[tuple[Any, ...]], converts: list[Convert | None]) -> Sum:
    working = [(place, convert) for place, convert in enumerate(converts) if convert]
    total = count = 0
    for row in found:
        values = list(row)
        for place, convert in working:
            if values[place] is not None:
                values[place] = convert(values[place])
        # repr tells 1 from 1.0 and True, -0.0 from 0.0, and writes a float with all its bits.
        digest = hashlib.blake2b(repr(values).encode(errors="surrogatepass"), digest_size=16).digest()
        total += int.from_bytes(digest, "big")
        count += 1
    return Sum(count, f"{total % _MODULUS:032x}")
