"""The network that is further away, before a server that answers what it is sent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from scripts.bench.queries.delay import DelayProxy, Traffic

BIG = 3_000_000


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it reads."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(conn,), daemon=True).start()

    def answer(conn: socket.socket) -> None:
        with conn, suppress(OSError):  # some clients go before they have their answer
            while data := conn.recv(65536):
                conn.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _connect(proxy: DelayProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def _exchange(conn: socket.socket, data: bytes) -> bytes:
    threading.Thread(target=conn.sendall, args=(data,), daemon=True).start()
    got = b""
    while len(got) < len(data):
        got += conn.recv(1 << 20)
    return got


def test_every_byte_comes_in_order_and_late_both_ways(echo: int) -> None:
    with DelayProxy(echo, 0.05) as proxy, _connect(proxy) as conn:
        begun = time.monotonic()
        assert _exchange(conn, b"hello") == b"hello"
        assert time.monotonic() - begun >= 0.1


def test_many_bytes_are_not_held_one_after_the_other(echo: int) -> None:
    """Throughput is not limited: what comes meanwhile waits at the same time."""
    data = bytes(range(256)) * (BIG // 256)
    with DelayProxy(echo, 0.05) as proxy, _connect(proxy) as conn:
        begun = time.monotonic()
        assert _exchange(conn, data) == data
        assert time.monotonic() - begun < 5  # one piece after the other would take at least 46 times 0.1 s
        assert (proxy.traffic.sent, proxy.traffic.received) == (len(data), len(data))


def test_round_trips_are_counted_per_connection(echo: int) -> None:
    with DelayProxy(echo, 0.0) as proxy, _connect(proxy) as one, _connect(proxy) as other:
        for _ in range(3):
            _exchange(one, b"a")
        before = proxy.traffic
        _exchange(other, b"b")
        assert before == Traffic(3, 3, 3)
        assert proxy.traffic.since(before) == Traffic(1, 1, 1)


def test_an_end_is_passed_on_and_the_answer_still_comes_back(echo: int) -> None:
    with DelayProxy(echo, 0.03) as proxy, _connect(proxy) as conn:
        conn.sendall(b"bye")
        conn.shutdown(socket.SHUT_WR)
        got = b""
        while data := conn.recv(100):
            got += data
        assert got == b"bye"


def test_a_client_that_vanishes_disturbs_nobody(echo: int) -> None:
    with DelayProxy(echo, 0.0) as proxy, _connect(proxy) as stays:
        for _ in range(5):
            gone = _connect(proxy)
            gone.sendall(b"x" * 100_000)
            gone.close()
        assert _exchange(stays, b"still here") == b"still here"


def test_nobody_behind_it_is_an_end(echo: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with DelayProxy(port, 0.0) as proxy, _connect(proxy) as conn:
        assert conn.recv(1) == b""
