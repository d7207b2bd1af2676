"""A stream of bytes made of rows: begun before the response is, closed at once, and never complete by mistake.

The first rows are waited for here, so that a wrong statement, a pool without a free connection and a limit that
is reached are errors with a status; so is every error of a result that fits into one piece. After that an error
can only end the body: with bytes that no reader takes for a complete file, and then by raising, upon which the
server closes the connection without HTTP's last chunk.
An object and no generator: `close()` does nothing to a generator that has not started.
Must not import Flask. If this is wrong, half a file looks like all of it, or a connection is lost.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import weakref
from typing import Any

import psycopg2.extensions

from .byte_queue import Stalled
from .copy_stream import CopySource
from .cursor_stream import CursorSource
from .errors import StreamError
from .stream_limit import limit
from .stream_source import Rows

log = logging.getLogger(__name__)
Source = CopySource | CursorSource


class RowStream:
    """An iterator of UTF-8 bytes; `close()` may come at any time, from any thread, and twice.

    Args:
        pool: a pool of ours.
        rows: what to read.

    Raises:
        StreamError: the SQL or its parameters cannot be streamed.
        StreamBusy: as many streams as are allowed are open.
        PoolTimeout: no connection was free in time.
        psycopg2.Error: what the server said before the first row.
    """

    def __init__(self, pool: Any, rows: Rows) -> None:
        self._form, self._label = rows.form, rows.label
        self._pid = os.getpid()
        self._begun = time.monotonic()
        self._sent = 0
        self._error: Exception | None = None
        self._is_over = False
        source = _source(pool, rows)
        # The collector closes what an app forgets, and the interpreter's end what is still open then.
        self._end = weakref.finalize(self, _stop, source, self._pid)
        self._source: Any = source
        try:
            self._first = self._lead()
        except BaseException:
            self._finish()
            raise

    def __iter__(self) -> RowStream:
        return self

    def __next__(self) -> bytes:
        if self._error is not None:
            raise StreamError(f"the stream was cut off: {_reason(self._error)}") from self._error
        if self._first:
            chunk, self._first = self._first, b""
        else:
            chunk = self._next()
        self._sent += len(chunk)
        return chunk

    def close(self) -> None:
        """Stop: the connection is back in its pool when this returns."""
        if self._end.alive and not self._is_over and self._pid == os.getpid():
            log.info("stream %s: the client went away, %s", self._label, self._figures())
        self._first = b""
        self._finish()

    def _lead(self) -> bytes:
        """Return the first bytes: the header and the first rows, or all there is."""
        first = self._pull()
        if self._form.has_header and not self._is_over:
            first += self._pull()
        return first

    def _next(self) -> bytes:
        if self._is_over:
            raise StopIteration
        if self._pid != os.getpid():
            raise StreamError("this stream belongs to the parent process; start one in each process")
        try:
            chunk = self._pull()
        except Exception as error:
            return self._cut(error)
        if not chunk:
            raise StopIteration
        return chunk

    def _pull(self) -> bytes:
        """Return the next piece; what ends the stream when there is none."""
        try:
            return self._form.render(next(self._source))
        except StopIteration:
            self._finish()
            return self._form.finish()

    def _cut(self, error: Exception) -> bytes:
        self._error = error
        self._finish()
        if not isinstance(error, Stalled):  # whoever noticed that has said it then
            log.warning("stream %s was cut off: %s, %s", self._label, _reason(error), self._figures())
        if not self._form.torn:
            return next(self)
        return self._form.torn

    def _finish(self) -> None:
        self._is_over = True
        self._end()
        if self._pid == os.getpid():
            self._source.join()

    def _figures(self) -> str:
        return f"after {self._sent} bytes and {time.monotonic() - self._begun:.1f} s"


def _source(pool: Any, rows: Rows) -> Source:
    ticket = limit.enter(pool, rows.options.most)
    try:
        kind = CopySource if _may_copy(rows.options.via) else CursorSource
        return kind(pool, rows, ticket, _patience(pool))
    except BaseException:
        ticket.give_back()
        raise


def _may_copy(via: str) -> bool:
    """Choose the road.

    Raises:
        StreamError: COPY was asked for where it cannot be.
    """
    is_green = psycopg2.extensions.get_wait_callback() is not None
    if via == "copy" and is_green:
        raise StreamError("psycopg2 has no COPY while a wait callback is set (gevent); use via='auto'")
    return via == "copy" or (via == "auto" and not is_green and not _is_patched())


def _is_patched() -> bool:
    """Tell whether gevent has made greenlets of threads: one in COPY would stop them all."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _patience(pool: Any) -> float | None:
    """Return 0 where waiting for a connection would be waiting for oneself: this very thread holds them all."""
    held = pool.held()
    is_mine = len(held) >= pool.maxconn and all(one.thread == threading.get_ident() for one in held)
    return 0.0 if is_mine else None


def _stop(source: Source, pid: int) -> None:
    if pid == os.getpid():  # else a child of a fork, which has neither the thread nor the connection
        source.stop()


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
