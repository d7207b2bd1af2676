"""One request over a socket: whole answers, endless ones, those that are cut off, and cookies."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from scripts.verify.ask import Answer, ask, request_of, without_host

Ask = Callable[..., Answer]


@pytest.fixture
def answered() -> Iterator[Ask]:
    """A function that asks a server which sends the given bytes, and then ends the connection or waits."""
    done = threading.Event()
    threads = []

    def run(sent: bytes, seconds: float = 5.0, stays: bool = False, jar: dict[str, str] | None = None) -> Answer:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            def serve() -> None:
                conn, _ = server.accept()
                with conn:
                    conn.recv(65536)
                    conn.sendall(sent)
                    if stays:
                        done.wait(30)

            thread = threading.Thread(target=serve)
            threads.append(thread)
            thread.start()
            request = request_of("GET", "/a b?q=ü", {}, None, {})
            return ask(server.getsockname()[1], request, {} if jar is None else jar, seconds)

    yield run
    done.set()
    for thread in threads:
        thread.join(30)


def test_a_whole_answer_keeps_its_bytes_and_cookies(answered: Ask) -> None:
    jar = {"old": "1", "gone": "2"}
    cookies = b"Set-Cookie: new=3; Path=/\r\nSet-Cookie: gone=; Max-Age=0\r\n\r\n"
    answer = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" + cookies + b"\xff\x00a", jar=jar)
    assert (answer.status, answer.body, answer.failure) == (200, b"\xff\x00a", "")
    assert jar == {"old": "1", "new": "3"}


@pytest.mark.parametrize(
    ("sent", "stays", "said"),
    [
        (b"", True, "no answer within 0.3 s"),
        (b"", False, "the connection ended without an answer"),
        (b"HTTP/1.1 200 OK\r\n\r\ntick", True, "never ended: 4 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", False, "cut off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", False, "cut off"),
    ],
)
def test_an_answer_that_is_not_whole_says_how(answered: Ask, sent: bytes, stays: bool, said: str) -> None:
    assert said in answered(sent, 0.3 if stays else 5.0, stays).failure


def test_only_the_server_s_own_address_is_taken_from_a_location() -> None:
    assert without_host("http://127.0.0.1:8001/x?y=1", 8001) == "/x?y=1"
    assert without_host("http://localhost:8001/x", 8001) == "/x"
    assert without_host("http://127.0.0.1:9000/x", 8001) == "http://127.0.0.1:9000/x"
    assert without_host("https://example.com/x", 8001) == "https://example.com/x"
