"""A small HTTP server whose answers, and bad manners, are chosen by the test."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Handler = Callable[["Exchange"], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Exchange(asyncio.Protocol):
    """One connection.

    Attributes:
        count: Requests on this connection so far, the current one included.
        head: Request line and headers of the current request.
        body: Its body.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._data = b""
        self.count = 0
        self.head = self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.opened += 1
        self._server.live.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.live.discard(self.transport)
        if not self._server.live:
            self._server.deserted.set()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, rest = self._data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b": ")
            if name.lower() == b"content-length":
                length = int(value)
        if not found or len(rest) < length:
            return
        self.head, self.body, self._data = head, rest[:length], rest[length:]
        self.count += 1
        self._server.requests.append(head.split(b"\r\n")[0])
        self._server.bodies.append(self.body)
        self._server.was_asked.set()
        self._server.handler(self)

    def reply(self, data: bytes) -> None:
        """Write and keep the connection."""
        self.transport.write(data)

    def hang_up(self, data: bytes = b"") -> None:
        """Write, then close."""
        self.transport.write(data)
        self.transport.close()

    def reset(self) -> None:
        """Close with RST in place of FIN."""
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


class Server:
    """Counts what it is asked.

    Attributes:
        address: What `Workload.target` takes.
        opened: Connections accepted.
        live: Connections open now.
        requests: Request lines, in order of arrival.
        bodies: Their bodies.
        was_asked: Set by the first request.
        deserted: Set when the last connection has gone.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.address = ""
        self.opened = 0
        self.live: set[asyncio.Transport] = set()
        self.requests: list[bytes] = []
        self.bodies: list[bytes] = []
        self.was_asked = threading.Event()
        self.deserted = threading.Event()


@contextmanager
def serving(handler: Handler, socket_path: Path | None = None) -> Iterator[Server]:
    """Serve on a free loopback port, or on a Unix socket, from a thread."""
    server = Server(handler)
    loop = asyncio.new_event_loop()
    if socket_path:
        listener = loop.run_until_complete(loop.create_unix_server(lambda: Exchange(server), str(socket_path)))
        server.address = f"unix:{socket_path}"
    else:
        listener = loop.run_until_complete(loop.create_server(lambda: Exchange(server), "127.0.0.1", 0))
        server.address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        listener.close()
        for transport in list(server.live):
            transport.abort()
        # Once for the ends of the connections to be reported, once for their sockets to be closed.
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
