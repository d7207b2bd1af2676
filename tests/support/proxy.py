"""A TCP proxy that can stall and cut: what a network does to a connection that nobody closed."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from types import TracebackType

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards a free loopback port to another one, for as long as its `with` block lasts.

    Attributes:
        port: where it listens.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._ended = False
        self._thread = threading.Thread(target=self._forward, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._flowing.set()
        self._wake_writer.send(b"x")
        self._thread.join(10)
        self.cut()
        for end in (self._listener, self._wake_reader, self._wake_writer):
            end.close()
        self._selector.close()

    def stall(self) -> None:
        """Stop forwarding: both sides see a connection on which nothing comes any more."""
        self._flowing.clear()
        self._wake_writer.send(b"x")

    def resume(self) -> None:
        """Forward again, what was held back first."""
        self._flowing.set()

    def cut(self) -> None:
        """Reset every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, {}
        for end in pairs:
            try:
                self._selector.unregister(end)
            except (KeyError, ValueError, RuntimeError):
                pass
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            end.close()

    def _forward(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake_reader:
                    self._wake_reader.recv(16)
                self._flowing.wait()
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._pairs:
                    self._pass_on(key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._target))
        with self._lock:
            self._pairs.update({client: server, server: client})
        for end in (client, server):
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        target = self._pairs.get(source)
        try:
            data = source.recv(65536)
            if data and target is not None:
                target.sendall(data)
                return
        except OSError:
            pass
        self._close(source)

    def _close(self, source: socket.socket) -> None:
        with self._lock:
            target = self._pairs.pop(source, None)
            self._pairs.pop(target, None) if target is not None else None
        for end in (source, target):
            if end is not None:
                try:
                    self._selector.unregister(end)
                except (KeyError, ValueError):
                    pass
                end.close()
