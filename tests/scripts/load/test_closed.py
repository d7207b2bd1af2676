"""The generator against real sockets: what counts as an answer, an error, a retry; and that it always ends."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.load import LoadError, RemoteTarget, Request, Result, Workload, closed, run_closed

from .server import OK, Exchange, serving

pytest.importorskip("httptools")
pytest.importorskip("uvloop")

ROOT = Path(__file__).resolve().parents[3]


def load(
    address: str, users: int = 2, seconds: float = 0.3, drain_timeout: float = 5.0, **options: float
) -> Result:
    workload = Workload(address, [Request("/")])
    return run_closed(workload, users, seconds, drain_timeout=drain_timeout, **options)  # type: ignore[arg-type]


def test_kept_connections_serve_all_requests() -> None:
    with serving(lambda exchange: exchange.reply(OK)) as server:
        result = load(server.address, users=3)
    assert result.errors == {}
    assert result.connections == server.opened == 3
    assert result.answered == len(server.requests) > 3
    assert result.received_bytes == len(OK) * result.answered
    assert result.elapsed >= 0.3
    assert 0 < result.generator_cpu <= 1.1
    assert all(latency > 0 for latency in result.latencies)


def test_a_server_that_speaks_http_1_0_gets_a_connection_per_request_without_errors() -> None:
    answer = OK.replace(b"HTTP/1.1", b"HTTP/1.0")
    with serving(lambda exchange: exchange.hang_up(answer)) as server:
        result = load(server.address)
    assert result.errors == {}
    assert result.connections == result.answered == len(server.requests) > 2
    assert result.retried == result.reopened == 0


def test_connection_close_is_obeyed() -> None:
    answer = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with serving(lambda exchange: exchange.reply(answer)) as server:
        result = load(server.address)
    assert result.errors == {}
    assert result.connections == result.answered > 2


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    with serving(lambda exchange: exchange.hang_up(b"HTTP/1.0 200 OK\r\n\r\nsome rows")) as server:
        result = load(server.address)
    assert result.errors == {}
    assert result.answered > 2


def test_chunked_bodies_are_read_to_their_end() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with serving(lambda exchange: exchange.reply(answer)) as server:
        result = load(server.address)
    assert result.errors == {}
    assert result.connections == 2
    assert result.received_bytes == len(answer) * result.answered


def test_an_answer_in_many_pieces_is_one_answer() -> None:
    body = b"x" * 1_000_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + body
    with serving(lambda exchange: exchange.reply(answer)) as server:
        result = load(server.address)
    assert result.errors == {}
    assert result.received_bytes == len(answer) * result.answered > 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Le",
    ],
    ids=["length", "chunked", "head"],
)
def test_a_short_body_is_an_error(answer: bytes) -> None:
    with serving(lambda exchange: exchange.hang_up(answer)) as server:
        result = load(server.address)
    assert set(result.errors) == {"short body"}
    assert result.answered == 0


def test_other_statuses_are_errors_by_number_and_keep_the_connection() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.reply(OK if exchange.count % 2 else OK.replace(b"200 OK", b"500 Oh"))

    with serving(handler) as server:
        result = load(server.address)
    assert set(result.errors) == {"http 500"}
    assert abs(result.answered - result.errors["http 500"]) <= 2
    assert result.connections == 2


def test_expected_statuses_are_answers() -> None:
    with serving(lambda exchange: exchange.reply(OK.replace(b"200", b"404"))) as server:
        result = run_closed(Workload(server.address, [Request("/", expect=(200, 404))]), 1, 0.2)
    assert result.errors == {}
    assert result.answered > 0


def test_an_interim_answer_is_not_the_answer() -> None:
    with serving(lambda exchange: exchange.reply(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)) as server:
        result = load(server.address)
    assert result.errors == {}
    assert result.answered == len(server.requests)


def test_two_answers_to_one_request_count_once() -> None:
    with serving(lambda exchange: exchange.reply(OK + OK)) as server:
        result = load(server.address)
    assert result.answered == result.connections == len(server.requests)


def test_bytes_that_are_not_http_are_a_protocol_error() -> None:
    with serving(lambda exchange: exchange.reply(b"220 mail.example ESMTP\r\n")) as server:
        result = load(server.address)
    assert set(result.errors) == {"protocol"}


def test_a_kept_connection_closed_without_a_byte_is_retried_once_on_a_fresh_one() -> None:
    def handler(exchange: Exchange) -> None:
        if exchange.count == 3:
            exchange.hang_up()
        else:
            exchange.reply(OK)

    with serving(handler) as server:
        result = load(server.address, users=1)
    assert result.errors == {}
    assert result.retried == len(server.requests) - result.answered > 0
    assert result.connections == result.retried + 1


def test_a_fresh_connection_closed_without_a_byte_is_an_error() -> None:
    with serving(lambda exchange: exchange.hang_up()) as server:
        result = load(server.address)
    assert set(result.errors) == {"closed"}
    assert result.retried == 0
    assert result.errors["closed"] == len(server.requests)


def test_a_fresh_connection_that_is_reset_is_an_error() -> None:
    with serving(lambda exchange: exchange.reset()) as server:
        result = load(server.address)
    assert set(result.errors) == {"reset"}


def test_a_connection_closed_while_idle_is_reopened() -> None:
    """The server closes after the warm-up's only request, when nobody is asking."""

    def handler(exchange: Exchange) -> None:
        exchange.reply(OK)
        if len(server.requests) == 2:
            # The other user has been served and waits for the phase to end: its connection is idle.
            for transport in list(server.live - {exchange.transport}):
                transport.close()

    with serving(handler) as server:
        result = load(server.address, warmup_requests=1)
    assert result.errors == {}
    assert result.warmup_answered == 2
    # Whether the end was seen before the next request was written is a race; an error it is in neither case.
    assert result.connections == 1
    assert result.retried <= 1


def test_a_refused_connection_is_counted_and_not_asked_in_a_tight_loop() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        result = load(f"http://127.0.0.1:{free.getsockname()[1]}", users=2, seconds=0.5)
    assert set(result.errors) == {"refused"}
    assert 2 <= result.failed <= 2 * 0.5 / 0.05 + 2
    assert result.generator_cpu < 0.7


def test_a_missing_socket_is_an_error_of_its_own(tmp_path: Path) -> None:
    assert set(load(f"unix:{tmp_path}/none.sock").errors) == {"no socket"}


def test_a_unix_socket_is_loaded(tmp_path: Path) -> None:
    with serving(lambda exchange: exchange.reply(OK), tmp_path / "app.sock") as server:
        result = load(server.address)
    assert result.errors == {}
    assert result.answered > 2


def test_a_full_backlog_is_waited_for(tmp_path: Path) -> None:
    """A Unix socket answers EAGAIN where TCP would wait; users of both wait."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "app.sock"))
        listener.listen(0)
        # No one accepts: the backlog takes a connection or two and refuses the others.
        result = load(f"unix:{tmp_path}/app.sock", users=8, drain_timeout=0.3)
    assert result.errors == {"timeout": 8}


def test_no_answer_within_the_drain_is_a_timeout() -> None:
    with serving(lambda exchange: None) as server:
        result = load(server.address, users=4, drain_timeout=0.2)
    assert result.errors == {"timeout": 4}
    assert result.elapsed == 0.3


def test_nothing_is_started_after_the_time_and_late_answers_count() -> None:
    def slow(exchange: Exchange) -> None:
        asyncio.get_running_loop().call_later(0.5, exchange.reply, OK)

    with serving(slow) as server:
        result = load(server.address, users=3, seconds=0.2)
    assert result.answered == len(server.requests) == 3
    assert result.elapsed >= 0.5
    assert result.rps == pytest.approx(3 / result.elapsed)


def test_requests_go_round_robin_with_an_offset_per_user() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.reply(OK)

    workload_requests = [Request("/a"), Request("/b", method="POST", json_body={"n": 1}), Request("/c")]
    with serving(handler) as server:
        result = run_closed(Workload(server.address, workload_requests), 2, 0.3, warmup_requests=3)
    assert result.warmup_answered == 6
    firsts = {server.requests[0], server.requests[1]}
    assert firsts == {b"GET /a HTTP/1.1", b"POST /b HTTP/1.1"}
    counts = [
        sum(line.startswith(start) for line in server.requests) for start in (b"GET /a", b"POST /b", b"GET /c")
    ]
    assert max(counts) - min(counts) <= 2
    assert server.bodies[server.requests.index(b"POST /b HTTP/1.1")] == b'{"n":1}'


def test_the_warm_up_is_not_counted() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.reply(OK if len(server.requests) > 10 else OK.replace(b"200 OK", b"503 No"))

    with serving(handler) as server:
        result = load(server.address, warmup_requests=5)
    assert result.errors == {}
    assert result.warmup_errors == {"http 503": 10}
    assert result.answered == len(server.requests) - 10


def test_a_warm_up_can_be_a_time() -> None:
    with serving(lambda exchange: exchange.reply(OK)) as server:
        result = load(server.address, warmup_seconds=0.1)
    assert result.warmup_answered > 0
    assert result.warmup_answered + result.answered == len(server.requests)
    assert result.connections == 0, "the connections of the warm-up are kept"


def test_remote_targets_are_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "_run_generator", lambda job, limit: pytest.fail("started"))
    with pytest.raises(RemoteTarget, match="refusing"):
        load("http://192.0.2.7")


@pytest.mark.parametrize(
    "options",
    [{"users": 0}, {"seconds": 0}, {"drain_timeout": -1}, {"warmup_seconds": 1, "warmup_requests": 1}],
)
def test_arguments_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="give"):
        load("http://127.0.0.1:1", **options)  # type: ignore[arg-type]


def test_a_missing_library_is_named_with_the_next_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("raise ModuleNotFoundError(\"No module named 'uvloop'\")\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(LoadError, match=r"uvloop.*pip install httptools uvloop"):
        load("http://127.0.0.1:1")


def test_a_generator_that_dies_is_reported_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(LoadError, match="ended with code 1: it said nothing"):
        load("http://127.0.0.1:1")


def test_a_generator_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "_OVERHEAD", -0.1)
    with serving(lambda exchange: None) as server:
        with pytest.raises(LoadError, match="did not end within"):
            load(server.address, seconds=1.0, drain_timeout=0)
        assert server.deserted.wait(10) or not server.requests


def test_more_users_than_open_files_is_said_before_the_run() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > 2_000_000:
        pytest.skip("no limit of open files here")
    with pytest.raises(LoadError, match=f"need {hard + 64} open files, the limit is {hard}"):
        load("http://127.0.0.1:1", users=hard)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_death_of_the_caller_ends_the_generator(number: signal.Signals) -> None:
    """However the caller goes, the server sees all connections closed."""
    program = "import sys; from scripts.load import *; run_closed(Workload(sys.argv[1], [Request('/')]), 3, 60.0)"
    with serving(lambda exchange: exchange.reply(OK)) as server:
        caller = subprocess.Popen(
            [sys.executable, "-c", program, server.address],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            assert server.was_asked.wait(20)
            server.deserted.clear()
            caller.send_signal(number)
            caller.wait(10)
            assert server.deserted.wait(10)
        finally:
            caller.kill()
            caller.wait()
