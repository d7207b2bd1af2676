"""The gate over real Unix sockets: it lets nothing through that is not well several times in a row."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.description import App, Database, Description, Front
from deploy.host import gate
from deploy.host.errors import GateError
from deploy.host.gate import Question

ASKED = Question("/readyz", "shop.example", "https")


class _Server(socketserver.ThreadingUnixStreamServer):
    """Answers with what stands in `answers`, the last one for ever; keeps what it was asked."""

    daemon_threads = True

    def __init__(self, place: str) -> None:
        self.answers: list[tuple[int, str]] = [(200, "ok")]
        self.asked: list[dict[str, str]] = []
        super().__init__(place, _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that has given up."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.asked.append({**self.headers, "path": self.path})
        answers = self.server.answers
        status, text = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return ""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
def server(place: Path) -> Iterator[_Server]:
    """A server on the socket."""
    with _Server(str(place)) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join(10)


def test_it_asks_as_the_front_would(server: _Server, place: Path) -> None:
    assert gate.ask(place, ASKED) == gate.Answer(200, "ok")
    (asked,) = server.asked
    assert (asked["path"], asked["Host"], asked["X-Forwarded-Proto"]) == ("/readyz", "shop.example", "https")


def test_five_good_answers_in_a_row_are_enough_and_needed(server: _Server, place: Path) -> None:
    server.answers = [(503, "not yet"), (200, ""), (200, ""), (500, ""), (200, "")]
    gate.pass_through(place, ASKED, 20, lambda: True)
    assert len(server.asked) == 4 + gate.TIMES


def test_what_stays_unwell_is_refused_with_its_last_answer(server: _Server, place: Path) -> None:
    server.answers = [(503, "\n no database \nat 10.0.0.1")]
    with pytest.raises(GateError, match=r"/readyz did not answer 200 5 times within 0.5 s; last: 503 \(no data"):
        gate.pass_through(place, ASKED, 0.5, lambda: True)


def test_a_redirect_is_no_good_answer(server: _Server, place: Path) -> None:
    server.answers = [(302, "elsewhere")]
    with pytest.raises(GateError, match="last: 302"):
        gate.pass_through(place, ASKED, 0.3, lambda: True)


def test_nobody_waits_for_what_has_ended(place: Path) -> None:
    with pytest.raises(GateError, match="the release ended while /readyz was asked; last answer: no answer"):
        gate.pass_through(place, ASKED, 600, lambda: False)


def test_an_answer_that_is_no_http_counts_as_none(place: Path) -> None:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"hello\n")

    with socketserver.UnixStreamServer(str(place), Handler) as made:
        thread = threading.Thread(target=made.handle_request)
        thread.start()
        assert gate.ask(place, ASKED).status == 0
        thread.join(10)


def test_the_question_is_of_the_first_domain_and_the_fronts_scheme() -> None:
    plain = Description(app=App(name="shop", target="app:app"), database=Database(name="shop", role="shop"))
    assert gate.question(plain) == Question("/readyz", "localhost", "http")
    front = Front(domains=("*.shop.example",), certificate="/c", certificate_key="/k")
    assert gate.question(replace(plain, front=front)) == Question("/readyz", "www.shop.example", "https")
