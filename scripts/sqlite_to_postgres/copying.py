"""Rows from SQLite into COPY, a megabyte at a time: memory does not grow with the table."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from psycopg2.extensions import cursor as Cursor

from .kinds import BYTES, kind_of
from .names import quoted as pg_quoted
from .plan import NewTable
from .schema import quoted

CHUNK = 1 << 20  # bytes given to libpq at once
BATCH = 1000  # rows read from SQLite at once


def copy_table(
    connection: sqlite3.Connection, cursor: Cursor, target: str, table: NewTable, say: Callable[[int], None],
    batch: int = BATCH,
) -> None:  # fmt: skip
    """Copy a whole table; `say` hears how many rows have been read.

    Raises:
        psycopg2.Error: PostgreSQL refused a row, or is gone.
        sqlite3.DatabaseError: a page of the source is damaged.
    """
    names = ", ".join(pg_quoted(column.name) for column in table.columns)
    lines = Lines(encoded_rows(rows(connection, table, batch, say), table))
    cursor.copy_expert(f"COPY {target} ({names}) FROM STDIN", lines, CHUNK)


def rows(
    connection: sqlite3.Connection, table: NewTable, batch: int, say: Callable[[int], None]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as SQLite stores them."""
    done = 0
    answer = connection.execute(f"SELECT {', '.join(map(_read, table.columns))} FROM {quoted(table.source.name)}")
    while found := answer.fetchmany(batch):
        yield from found
        done += len(found)
        say(done)


def _read(column: Any) -> str:
    name = quoted(column.source.name)
    # Text that is not UTF-8 reaches Python only as a blob; an empty blob comes as b"" and NULL as None.
    return f"CAST({name} AS BLOB)" if column.kind in BYTES else name


def encoded_rows(found: Iterable[tuple[Any, ...]], table: NewTable) -> Iterator[bytes]:
    """Yield COPY's text lines: https://www.postgresql.org/docs/current/sql-copy.html, File Formats."""
    writers = [kind_of(column.kind).copied for column in table.columns]
    for row in found:
        fields = ["\\N" if value is None else _escaped(write(value))
                  for write, value in zip(writers, row, strict=True)]  # fmt: skip
        yield ("\t".join(fields) + "\n").encode()


def _escaped(text: str) -> str:
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "\n" in text or "\t" in text or "\r" in text:
        text = text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return text


class Lines(io.RawIOBase):
    """A file that COPY reads, made of lines as they come."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._rest = bytearray()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes; fewer only at the end."""
        while size < 0 or len(self._rest) < size:
            line = next(self._lines, None)
            if line is None:
                break
            self._rest += line
        end = len(self._rest) if size < 0 else size
        part = bytes(self._rest[:end])
        del self._rest[:end]
        return part
