"""Rows by a named cursor: pulled when they are wanted, without a thread. A quarter of COPY's speed.

For gevent, whose wait callback rules COPY out and whose threads are none, and for those who want no thread.
Nobody watches while the client takes nothing; so PostgreSQL is told to end a transaction that idles so long.
Must not import Flask. If this is wrong, a stream keeps its connection, or its bytes differ from COPY's.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import psycopg2
from psycopg2.extensions import BYTES, encodings

from .errors import StreamError
from .reset import rollback_quietly
from .stream_limit import Ticket
from .stream_source import Rows, begun, plain

PIECE = 65536  # bytes that a round trip should bring
MOST_ROWS = 5000
FIRST_ROWS = 16  # before it is known how large they are
NAME = "harden_stream"


class CursorSource:
    """An iterator of pieces, each of whole rows: first the header if there is one, then rows.

    Args:
        pool: where its connection comes from.
        rows: what to read.
        ticket: given back with the connection.
        patience: seconds to wait for a connection; the pool's own when None.
    """

    def __init__(self, pool: Any, rows: Rows, ticket: Ticket, patience: float | None) -> None:
        self._rows, self._ticket = rows, ticket
        self._until = time.monotonic() + rows.options.timeout if rows.options.timeout else float("inf")
        self._count = FIRST_ROWS
        self._lease = pool.connection(patience)
        self._conn = self._lease.__enter__()
        try:
            self._open()
        except BaseException:
            self.stop()
            raise

    def _open(self) -> None:
        conn = self._conn
        idle = round(self._rows.options.patience * 1000)
        with begun(conn) as cursor:
            # cursor_tuple_fraction: all rows are read, so the plan must be the one that is best for all.
            query = self._rows.begin(
                cursor,
                f"; SET LOCAL idle_in_transaction_session_timeout = {idle}; SET LOCAL cursor_tuple_fraction = 1.0",
            )
        self._cursor = conn.cursor(name=NAME, cursor_factory=plain)
        self._cursor.execute(query)
        self._cursor.fetchmany(0)  # tells the columns
        columns = self._cursor.description
        self._cursor.string_types = {one.type_code: BYTES for one in columns}
        self._recode = None if conn.encoding == "UTF8" else encodings[conn.encoding]
        self._header = self._rows.form.header(columns, self._recode or "utf-8")

    def __next__(self) -> bytes:
        if self._header:
            piece, self._header = self._header, b""
            return self._in_utf8(piece)
        try:
            rows = self._fetched()
        except BaseException:
            self.stop()
            raise
        if not rows:
            self.stop()
            raise StopIteration
        piece = self._rows.form.lines(rows)
        self._count = max(1, min(MOST_ROWS, self._count * 8, PIECE * len(rows) // max(1, len(piece))))
        return self._in_utf8(piece)

    def _fetched(self) -> Any:
        if self._conn is None:
            return ()
        if time.monotonic() > self._until:
            raise StreamError(f"the stream took longer than {self._rows.options.timeout:.0f} s")
        return self._cursor.fetchmany(self._count)

    def _in_utf8(self, piece: bytes) -> bytes:
        return piece if self._recode is None else piece.decode(self._recode).encode()

    def stop(self) -> None:
        """Give the connection back."""
        conn, self._conn = self._conn, None
        if conn is None:
            return
        rollback_quietly(conn)
        with suppress(psycopg2.Error):  # it is lost, and its pool has closed it
            self._lease.__exit__(None, None, None)
        self._ticket.give_back()

    def join(self) -> None:
        """Nothing is left to wait for."""
