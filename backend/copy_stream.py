"""Rows by COPY: a thread that PostgreSQL pushes them to, and the queue from which they are pulled.

COPY is the fastest way out of PostgreSQL, five times a cursor, but psycopg2 gives it only as a call that pushes
into a file until all is done. So it runs in a thread of its own, per stream, which takes the connection, writes
into a bounded queue, and gives the connection back. The thread that takes a lease must be the one that returns
it: the pool tells stale users of a connection by their threads.

Whoever cuts a stream cancels the statement first: a rollback alone would read all the rows that are left.
Must not import Flask. If this is wrong, a client that went away keeps a connection, or a cancel hits the next
user of the connection.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from functools import partial
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_ACTIVE, connection

from .byte_queue import Abandoned, ByteQueue, Stalled
from .reset import rollback_quietly
from .stream_limit import Ticket
from .stream_source import Rows, begun

log = logging.getLogger(__name__)
CHUNK = 65536  # bytes; larger is not faster, and the queue holds four
CHUNKS = 4
HURRY_AFTER = 0.02  # seconds the reader waits for a full piece before it wants what there is
LONGEST_GOODBYE = 5.0  # seconds that a cut waits for the server to agree


class CopySource:
    """An iterator of pieces, each of whole rows: first the header if there is one, then rows.

    Args:
        pool: where its connection comes from.
        rows: what to read.
        ticket: given back with the connection.
        patience: seconds to wait for a connection; the pool's own when None.
    """

    def __init__(self, pool: Any, rows: Rows, ticket: Ticket, patience: float | None) -> None:
        self._pool, self._rows, self._ticket, self._patience = pool, rows, ticket, patience
        self._queue = ByteQueue(CHUNKS, rows.options.patience)
        self._kept: list[bytes] = []
        self._size = 0
        self._enough = 0 if rows.form.has_header else CHUNK  # bytes that make a piece
        self._given = 0
        # Guards `_running`. A cancel is sent while it is held, and the statement's end waits for it: a cancel
        # that is late would hit the connection's next user.
        self._cancelling = threading.RLock()
        self._running: Any = None
        # In the context of the request, so that its COPY is noted as the request's.
        work = partial(contextvars.copy_context().run, self._run)
        self._thread = threading.Thread(target=work, name="stream-copy", daemon=True)
        self._thread.start()

    def __next__(self) -> bytes:
        piece = self._queue.get(HURRY_AFTER)
        while piece == b"":
            self._enough = 0
            piece = self._queue.get(None)
        if piece is None:
            raise StopIteration
        return piece

    def stop(self) -> None:
        """Stop reading: the statement is cancelled, and the thread gives the connection back."""
        self._queue.abandon()
        with self._cancelling:
            if self._running is not None:
                _cancel(self._running)

    def join(self) -> None:
        """Wait until the connection is back. Not for the collector, which may run inside the pool's lock."""
        self._thread.join(LONGEST_GOODBYE)

    def write(self, row: bytes) -> None:
        """Take one row from COPY; what is raised here ends it."""
        self._kept.append(row)
        self._size += len(row)
        if self._size >= self._enough:
            self._pass_on()

    def _pass_on(self) -> None:
        piece = b"".join(self._kept)
        self._kept.clear()
        self._size = 0
        self._enough = CHUNK
        if piece:
            self._queue.put(piece)
            self._given += len(piece)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._lease()
        except Abandoned:
            pass
        except Stalled as failure:
            error = failure  # said here, for whoever sends may be stuck in a socket for hours
            log.warning("stream %s was cut off: %s, after %d bytes", self._rows.label, failure, self._given)
        except BaseException as failure:
            error = failure.with_traceback(None)  # its frames would keep the connection
        finally:
            self._ticket.give_back()
            self._queue.finish(error)  # last: who sees the end may count on the connection being back

    def _lease(self) -> None:
        with self._pool.connection(self._patience) as conn:
            try:
                self._copy(conn)
            finally:
                _roll_back(conn)

    def _copy(self, conn: Any) -> None:
        with self._cancelling:
            if self._queue.is_abandoned:
                return
            self._running = conn
        try:
            with begun(conn) as cursor:
                query, options = self._rows.begin(cursor), self._rows.form.copy_options.encode()
                cursor.copy_expert(b"COPY (%s\n) TO STDOUT (%s)" % (query, options), self)
            self._pass_on()
        finally:
            with self._cancelling:
                self._running = None


def _cancel(conn: Any) -> None:
    """Cancel what runs on a connection, by the driver's own method: a lease's would ask whose thread this is."""
    try:
        connection.cancel(conn)
    except psycopg2.Error:
        pass  # the server is gone, or the statement is


def _roll_back(conn: Any) -> None:
    """End the transaction. A connection on which that fails is closed when it comes back to its pool."""
    if conn.info.transaction_status == TRANSACTION_STATUS_ACTIVE:  # in the middle of COPY
        _cancel(conn)
    rollback_quietly(conn)
