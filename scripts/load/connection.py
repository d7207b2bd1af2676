"""One HTTP/1.x connection as an asyncio protocol: bytes in, "answered" or "lost" out.

It runs in the generator's process alone, several thousand times a second, so it does as little as it can:
every connection reads into one shared buffer, the C parser is given a view of it, and bodies are counted by
the parser without ever becoming Python objects.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools

# Larger than the usual socket buffer, so that a response of 16 KB is one read.
BUFFER_BYTES = 256 * 1024


class Owner(Protocol):
    """Who a connection reports to."""

    def connected(self, connection: Connection) -> None: ...

    def answered(self, connection: Connection, status: int, keep: bool) -> None: ...

    def lost(self, connection: Connection, exc: Exception | None) -> None: ...

    def confused(self, connection: Connection) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """Reads responses, one at a time.

    Attributes:
        served: Responses read to their end; more than 0 means that the connection is a reused one.
        has_bytes: Whether any byte of the current response has come.
    """

    def __init__(self, owner: Owner, view: memoryview) -> None:
        self._owner = owner
        # One buffer for all connections: the event loop reads and reports in one step, so no two overlap.
        self._view = view
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._keep = self._done = self._head_done = self._sized = self.has_bytes = False
        self._status = self.served = self.received = 0

    def send(self, payload: bytes) -> None:
        """Write one request; the previous response must have ended."""
        self._done = self._head_done = self._sized = self.has_bytes = False
        assert self._transport is not None
        self._transport.write(payload)

    def close(self) -> None:
        """Drop the connection now, without waiting for anything to be sent."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_open(self) -> bool:
        """Whether a request can be written."""
        return self._transport is not None and not self._transport.is_closing()

    def ends_with_the_connection(self) -> bool:
        """Say whether the response has no stated length, so that the end of the connection is its end."""
        return self._head_done and not self._sized

    @property
    def status(self) -> int:
        """Status of the response whose head has come last."""
        return self._status

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._owner.connected(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        parser = self._parser
        if parser is None:
            return
        self.has_bytes = True
        self.received += nbytes
        try:
            parser.feed_data(self._view[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._owner.confused(self)
            return
        if self._done:
            self.served += 1
            self._owner.answered(self, self._status, self._keep)

    def connection_lost(self, exc: Exception | None) -> None:
        # The parser holds bound methods of this object: left in place, each closed connection would be
        # garbage that only the cycle collector frees.
        self._parser = None
        self._owner.lost(self, exc)

    # What the parser calls. Nothing may raise or write here: the parser is in the middle of the buffer.

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._sized = True

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        if self._done:
            # A second response to one request: with this connection nothing can be told apart any more.
            self._keep = False
            return
        self._head_done = True
        self._status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self._done:
            return
        if self._status < 200:
            self._head_done = False
            return
        self._done = True
        # Has to be asked here: the parser forgets it when the message is over.
        self._keep = self._parser.should_keep_alive()
