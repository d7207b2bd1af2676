"""A network that is further away: a TCP proxy that holds every byte for a fixed time, each way.

It limits no throughput: what comes meanwhile is held for the same time, in order. It counts what went through it.
Linux has `netem` for this, which needs root and a kernel module; this needs neither.
"""

from __future__ import annotations

import ctypes
import select
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from types import TracebackType

# <linux/prctl.h>; the default slack of 50 us would come on top of each wait.
PR_SET_TIMERSLACK = 29
CHUNK = 262144
AWAKE = 0.0003  # seconds


@dataclass(frozen=True)
class Traffic:
    """What went through.

    Attributes:
        round_trips: how often a client spoke after the server had, or first.
        sent: bytes from clients.
        received: bytes to clients.
    """

    round_trips: int = 0
    sent: int = 0
    received: int = 0

    def since(self, earlier: Traffic) -> Traffic:
        """Return what came after an earlier look."""
        return Traffic(
            self.round_trips - earlier.round_trips, self.sent - earlier.sent, self.received - earlier.received
        )


class DelayProxy:
    """Forwards a free loopback port to another one, later, for as long as its `with` block lasts.

    Args:
        target: the port.
        one_way: seconds that every byte is held.

    Attributes:
        port: where it listens.
        one_way: may be changed at any time; what is held already comes before what is not held as long.
        traffic: what went through so far.
    """

    def __init__(self, target: int, one_way: float) -> None:
        self._target = target
        self.one_way = one_way
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.traffic = Traffic()
        self._other: dict[socket.socket, socket.socket] = {}
        self._readable: set[socket.socket] = set()
        self._silent: set[socket.socket] = set()  # those whose end was passed on
        self._clients: set[socket.socket] = set()
        self._spoke_last: dict[socket.socket, bool] = {}  # by client: whether it was the client
        self._held: deque[tuple[float, socket.socket, bytes]] = deque()  # in order of due times, as all wait alike
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> DelayProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._wake_writer.send(b"x")
        self._thread.join(10)
        for end in (*self._other, self._listener, self._wake_reader, self._wake_writer):
            end.close()

    def _run(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)  # of this thread alone
        while not self._ended:
            ends = [self._wake_reader, self._listener, *self._readable]
            for end in select.select(ends, [], [], self._wait())[0]:
                self._take(end)
            self._hand_on()

    def _wait(self) -> float | None:
        """Return how long there is nothing to hand on; what is due soon is waited for awake, as sleep is late."""
        if not self._held:
            return None
        return max(self._held[0][0] - time.monotonic() - AWAKE, 0.0)

    def _take(self, end: socket.socket) -> None:
        if end is self._listener:
            self._accept()
        elif end is self._wake_reader:
            end.recv(16)
        elif end in self._readable:
            data = _read(end)
            self._count(end, data)
            self._held.append((time.monotonic() + self.one_way, end, data))
            if not data:  # the end of a stream is held like all else, and nothing more is read
                self._readable.discard(end)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._other.update({client: server, server: client})
        self._readable.update((client, server))
        self._clients.add(client)

    def _count(self, end: socket.socket, data: bytes) -> None:
        seen = self.traffic
        if end in self._clients:
            spoke = self._spoke_last.get(end, False)
            self._spoke_last[end] = bool(data) or spoke
            self.traffic = replace(
                seen, sent=seen.sent + len(data), round_trips=seen.round_trips + (bool(data) and not spoke)
            )
        else:
            if data:
                self._spoke_last[self._other[end]] = False
            self.traffic = replace(seen, received=seen.received + len(data))

    def _hand_on(self) -> None:
        while self._held and self._held[0][0] <= time.monotonic():
            _, source, data = self._held.popleft()
            target = self._other.get(source)
            if target is None:  # either end has gone meanwhile
                continue
            if not data:
                self._silent.add(source)
            if not _passed(target, data) or {source, target} <= self._silent:
                self._close(source, target)

    def _close(self, *ends: socket.socket) -> None:
        for end in ends:
            self._other.pop(end)
            self._readable.discard(end)
            self._clients.discard(end)
            self._silent.discard(end)
            self._spoke_last.pop(end, None)
            end.close()


def _read(end: socket.socket) -> bytes:
    try:
        return end.recv(CHUNK)
    except OSError:
        return b""


def _passed(end: socket.socket, data: bytes) -> bool:
    """Pass on a piece, or the end of a stream; False when nobody is there to take it."""
    try:
        if data:
            end.sendall(data)
        else:
            end.shutdown(socket.SHUT_WR)
    except OSError:
        return False
    return True
