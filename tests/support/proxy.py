"""A TCP proxy that can stall, cut and vanish: what a network does to a connection that nobody closed."""

from __future__ import annotations

import ctypes
import fcntl
import selectors
import socket
import struct
import termios
import threading
import time
from types import TracebackType

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
ATTACH_FILTER, DETACH_FILTER = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER of Linux; not in Python's socket
DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # one BPF instruction: return 0 bytes
LONGEST_SEND = 5.0  # seconds; a peer that reads nothing for so long is cut off


class Proxy:
    """Forwards a free loopback port to another one, for as long as its `with` block lasts.

    Attributes:
        port: where it listens.
        accepted: how many connections have come in.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.accepted = 0
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()  # guards the sockets: nobody closes one that is being read
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
        """Stop forwarding: the system still acknowledges what is sent, but no answer comes any more."""
        self._flowing.clear()
        self._wake_writer.send(b"x")

    def resume(self) -> None:
        """Forward again, what was held back first."""
        self._flowing.set()

    def vanish(self) -> None:
        """Drop every packet that a client sends, new connections included: a power cut, a forgetful NAT."""
        with self._lock:
            # What a client has received and not acknowledged yet would be sent again, and look like life.
            while any(_unacknowledged(end) for end in self._clients):
                time.sleep(0.005)
            for end in (self._listener, *self._clients):
                end.setsockopt(
                    socket.SOL_SOCKET, ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(DROP_ALL))
                )

    def reappear(self) -> None:
        """Let packets through again."""
        with self._lock:
            for end in (self._listener, *self._clients):
                try:
                    end.setsockopt(socket.SOL_SOCKET, DETACH_FILTER, 0)
                except OSError:
                    pass  # it came later, and has none

    def cut(self) -> None:
        """Reset every connection."""
        with self._lock:
            for end in list(self._pairs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                self._forget(end)
            self._pairs.clear()

    def _forward(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake_reader:
                    self._wake_reader.recv(16)
                    continue
                self._flowing.wait()
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._pairs:
                        self._pass_on(key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self.accepted += 1
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:  # nobody there: say so the same way
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            client.close()
            return
        self._clients.add(client)
        self._pairs.update({client: server, server: client})
        for end in (client, server):
            end.settimeout(LONGEST_SEND)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        try:
            data = source.recv(65536)
            if data:
                self._pairs[source].sendall(data)
                return
        except OSError:
            pass
        self._close(source)

    def _close(self, source: socket.socket) -> None:
        target = self._pairs.pop(source)
        del self._pairs[target]
        for end in (source, target):
            self._forget(end)

    def _forget(self, end: socket.socket) -> None:
        self._clients.discard(end)
        self._selector.unregister(end)
        end.close()


def _unacknowledged(end: socket.socket) -> int:
    return int.from_bytes(fcntl.ioctl(end, termios.TIOCOUTQ, bytes(4)), "little")
